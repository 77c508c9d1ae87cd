-- Commands that make directories, symlinks and hard links (kernel/bpf/inode.c, fs/namei.c).
local kernel = use("base/kernel")
local cred = use("base/cred")
local inode = use("fs/inode")
local namei = use("fs/namei")
local vfs = use("fs/vfs")

local sys = kernel.sys
-- Permission bits with the sticky bit, all permission bits, and the setuid bit.
local DIRECTORY_MODE, ALL, SUID = 1023, 511, 2048
-- setgid on an executable of the group.
local SGID_EXECUTABLE = 1032
local PATH_MAX = 4096

--[[
  mkdir(2) (kernel: bpf_mkdir()): makes a directory.

    Input:
      path
      mode  permission bits and the sticky bit; umask is taken off
    Output:
      kind, mode, uid, gid, nlink, ino, object: the attributes of the node
    Errors:
      EEXIST  the path exists
      ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG  the path walk fails (namei.lua)
]]
function sys.mkdir(path, mode)
  local at = namei.filename_create(path, true)
  return vfs.create(at, "directory", vfs.apply_umask(bit.band(mode, DIRECTORY_MODE)))
end

--[[
  symlink(2) (kernel: bpf_symlink()): makes a symlink; its target is resolved when it is followed.

    Input:
      path
      target  text
    Output:
      kind, mode, uid, gid, nlink, ino, object: the attributes of the node
    Errors:
      ENOENT, ENAMETOOLONG  the target is empty, or has 4096 bytes or more
      EEXIST                the path exists
      ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG  the path walk fails (namei.lua)
]]
function sys.symlink(path, target)
  if target == "" then kernel.fail("ENOENT", "the target of a symlink must not be empty") end
  if #target >= PATH_MAX then
    kernel.fail("ENAMETOOLONG", "the target of a symlink must have at most 4095 bytes, got " .. #target)
  end
  return vfs.create(namei.filename_create(path), "symlink", ALL, target)
end

-- may_linkat() with fs.protected_hardlinks=1.
local function may_link(node, path)
  if cred.owner_or_capable(node) then return end
  local pin = node.kind == "map" or node.kind == "prog"
  local set = bit.band(node.mode, SUID) ~= 0 or bit.band(node.mode, SGID_EXECUTABLE) == SGID_EXECUTABLE
  if not pin or set or not cred.can_access(node, 6) then
    kernel.fail("EPERM", "a link to " .. path .. " needs its owner, or read and write access to a pin"
      .. " (protected_hardlinks)")
  end
end

--[[
  link(2) (kernel: do_linkat(), may_linkat()): gives an inode a second name and no reference.

    Input:
      path  new name
      from  existing name; a symlink at its end is not followed
    Output:
      kind, mode, uid, gid, nlink, ino, object: the attributes of the node
    Errors:
      EEXIST  path exists
      EPERM   from is a directory, or a node that the caller neither owns nor may read and write
      ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG  the path walk fails (namei.lua)
]]
function sys.link(path, from)
  local node = namei.user_path_at(from, false)
  local at = namei.filename_create(path)
  may_link(node, from)
  namei.may_create(at.dir)
  if node.kind == "directory" then kernel.fail("EPERM", from .. " is a directory") end
  node.nlink = node.nlink + 1
  inode.store(node)
  inode.add_name(at.dir, at.name, node)
  return vfs.attributes(node)
end
