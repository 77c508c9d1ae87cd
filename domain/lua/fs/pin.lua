-- Commands that pin objects and open pins (kernel/bpf/inode.c).
-- Invariant: a failed pin or a failed fd holds nothing (c9da161c65): references are taken last.
local kernel = use("base/kernel")
local cred = use("base/cred")
local fd_table = use("file/fd_table")
local file = use("file/file")
local namei = use("fs/namei")
local vfs = use("fs/vfs")

local sys = kernel.sys
-- 0600 and the bits of generic_permission().
local MODE, READ, WRITE = 384, 4, 2

--[[
  BPF_OBJ_PIN (kernel: bpf_obj_do_pin()): gives an object a name; mode 0600 & ~umask.

    Input:
      path   of the new name
      fd     number of the descriptor
      flags  0
    Output:
      kind, mode, uid, gid, nlink, ino, object: the attributes of the node
    Errors:
      EINVAL  flags is not 0, fd is not open, or it is a BTF object
      EEXIST  the path exists
      ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG  the path walk fails (namei.lua)
]]
function sys.obj_pin(path, fd, flags)
  if tonumber(flags) ~= 0 then
    kernel.fail("EINVAL", "file_flags of BPF_OBJ_PIN must be 0, got " .. flags)
  end
  local f = fd_table.fget(fd, "EINVAL")
  if f.kind == "btf" then kernel.fail("EINVAL", "fd " .. fd .. " is a btf, which cannot be pinned") end
  return vfs.create(namei.filename_create(path), f.kind, vfs.apply_umask(MODE), f.id)
end

--[[
  BPF_OBJ_GET (kernel: bpf_obj_do_get()): opens a pinned object.

    Input:
      path   of the pin
      flags  0, BPF_F_RDONLY or BPF_F_WRONLY
    Output:
      fd, kind, id
    Errors:
      EINVAL  flags has another bit, or both at once
      EACCES  the mode denies it, or the path is not a pin
      EMFILE  the session has as many fds as its nofile allows
      ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG  the path walk fails (namei.lua)
]]
function sys.obj_get(path, flags)
  local mode = file.mode(tonumber(flags))
  if not mode then
    kernel.fail("EINVAL",
      "file_flags of BPF_OBJ_GET must be 0, BPF_F_RDONLY (8) or BPF_F_WRONLY (16), got " .. flags)
  end
  local node = namei.user_path_at(path, true)
  cred.check_access(node, (mode % 2 == 1 and READ or 0) + (mode >= 2 and WRITE or 0), "opening " .. path)
  if node.kind ~= "map" and node.kind ~= "prog" then
    kernel.fail("EACCES", path .. " is a " .. node.kind .. ", not a pinned map or program")
  end
  local fd = fd_table.get_unused_fd()
  -- A program's fd is always O_RDWR: the flags only asked for permission.
  if node.kind == "prog" then mode = 3 end
  fd_table.install(fd, file.open(node.kind, node.object, mode))
  return fd, node.kind, node.object
end
