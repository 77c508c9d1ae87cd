-- The tree's commands that make, open and show nodes (kernel/bpf/inode.c): pins, directories, links.
-- Invariant: a failed pin or a failed fd holds nothing (c9da161c65): references are taken last.
local kernel = use("base/kernel")
local session = use("base/session")
local cred = use("base/cred")
local inode = use("fs/inode")
local namei = use("fs/namei")
local fd_table = use("file/fd_table")
local file = use("file/file")

local sys = kernel.sys

local function masked(mode)
  return bit.band(mode, bit.bnot(session.cred().umask))
end

-- kind, mode, uid, gid, nlink, ino, object
local function attributes(node)
  return node.kind, node.mode, node.uid, node.gid, node.nlink, node.ino, node.object or ""
end

local function add(at, kind, mode, object)
  namei.may_create(at.dir)
  local node = inode.create(at.dir, kind, mode, object)
  inode.add_name(at.dir, at.name, node)
  return attributes(node)
end

-- BPF_OBJ_PIN, bpf_obj_do_pin(): the fd first (always EINVAL), then the path; mode 0600 & ~umask.
function sys.obj_pin(path, fd, flags)
  if tonumber(flags) ~= 0 then kernel.fail("EINVAL", "BPF_OBJ_PIN takes no file_flags") end
  local f = fd_table.fget(fd, "EINVAL")
  return add(namei.filename_create(path), f.kind, masked(384), f.id)
end

-- BPF_OBJ_GET, bpf_obj_do_get(): permission by flags, EACCES for what is no pin, the fd last.
function sys.obj_get(path, flags)
  local mode = file.mode(tonumber(flags))
  if not mode then kernel.fail("EINVAL", "file_flags " .. flags .. " of BPF_OBJ_GET") end
  local node = namei.user_path_at(path, true)
  cred.check_access(node, (mode % 2 == 1 and 4 or 0) + (mode >= 2 and 2 or 0), "opening " .. path)
  if node.kind ~= "map" and node.kind ~= "prog" then
    kernel.fail("EACCES", path .. " is a " .. node.kind .. ", not a pin")
  end
  local fd = fd_table.get_unused_fd()
  -- A program's fd is always O_RDWR: the flags only asked for permission.
  if node.kind == "prog" then mode = 3 end
  fd_table.install(fd, file.open(node.kind, node.object, mode))
  return fd, node.kind, node.object
end

-- mkdir(2): the sticky bit is kept.
function sys.mkdir(path, mode)
  return add(namei.filename_create(path, true), "directory", masked(bit.band(mode, 1023)))
end

-- symlink(2): the target is text, resolved when followed.
function sys.symlink(path, target)
  if target == "" then kernel.fail("ENOENT", "the target is empty") end
  if #target >= 4096 then kernel.fail("ENAMETOOLONG", "a target has at most 4095 bytes") end
  return add(namei.filename_create(path), "symlink", 511, target)
end

-- may_linkat() with fs.protected_hardlinks=1.
local function may_link(node)
  if cred.owner_or_capable(node) then return end
  local pin = node.kind == "map" or node.kind == "prog"
  local set = bit.band(node.mode, 2048) ~= 0 or bit.band(node.mode, 1032) == 1032
  if not pin or set or not cred.can_access(node, 6) then
    kernel.fail("EPERM", "protected_hardlinks: not the owner, and not readable and writable")
  end
end

-- link(2): a second name of the same inode, no reference; a final symlink is not followed.
function sys.link(path, from)
  local node = namei.user_path_at(from, false)
  local at = namei.filename_create(path)
  may_link(node)
  namei.may_create(at.dir)
  if node.kind == "directory" then kernel.fail("EPERM", from .. " is a directory") end
  node.nlink = node.nlink + 1
  inode.store(node)
  inode.add_name(at.dir, at.name, node)
  return attributes(node)
end

-- stat(2) or lstat(2), and getdents(2) when `entries`: the attributes and a page of name, ino.
-- EACCES for entries that may not be read; lstat leaves them out instead.
function sys.stat(path, follow, entries, ino, name, limit)
  local node = namei.user_path_at(path, follow == "1")
  local page, more = false, false
  if node.kind == "directory" and entries == "1" then
    if follow == "1" then cred.check_access(node, 4, "reading the directory") end
    if cred.can_access(node, 4) then
      page = inode.readdir(node, ino, name, tonumber(limit))
      more = #page > 2 * limit
      if more then page[#page], page[#page - 1] = nil, nil end
      local cursor = more and page[#page] .. " " .. page[#page - 1]
      for i = 2, #page, 2 do page[i] = inode.load(page[i]).kind end
      more = cursor
    end
  end
  return page, more, attributes(node)
end
