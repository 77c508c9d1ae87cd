-- Commands that remove names (kernel: fs/namei.c).
-- Invariant: what the last name frees is put by the same call: the map, its slots, their programs.
local kernel = use("base/kernel")
local inode = use("fs/inode")
local namei = use("fs/namei")

local unlink = {}
local sys = kernel.sys

function unlink.existing(at, path)
  local node = namei.lookup(at.dir, at.name)
  if not node then kernel.fail("ENOENT", path .. " does not exist") end
  return node
end

function unlink.remove(dir, name, node)
  inode.remove_name(dir, name, node)
  inode.drop_nlink(node)
end

--[[
  unlink(2) (kernel: do_unlinkat(), may_delete()): removes the name of a node that is not a directory.

    Input:
      path
    Output: nothing
    Errors:
      EISDIR   the path is a directory
      ENOTDIR  a slash follows the name of a pin or symlink
      EPERM    the sticky bit of the directory denies it
      ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG  the path walk fails (namei.lua)
]]
function sys.unlink(path)
  local at = namei.filename_parentat(path)
  if at.type ~= "norm" then kernel.fail("EISDIR", path .. " is a directory: remove it by rmdir") end
  local node = unlink.existing(at, path)
  if at.slash then
    kernel.fail(node.kind == "directory" and "EISDIR" or "ENOTDIR", path .. " must not end in a slash")
  end
  namei.may_delete(at.dir, node, false)
  unlink.remove(at.dir, at.name, node)
end

local RMDIR = { dotdot = "ENOTEMPTY", dot = "EINVAL", root = "EBUSY" }

function unlink.check_name(at, path)
  if at.type ~= "norm" then
    kernel.fail(RMDIR[at.type], path .. " cannot be removed: it is the root, or ends in . or ..")
  end
end

--[[
  rmdir(2) (kernel: do_rmdir(), may_delete()): removes an empty directory.

    Input:
      path
    Output: nothing
    Errors:
      ENOTEMPTY  the directory has entries, or the path ends in ..
      EINVAL     the path ends in .
      EBUSY      the path is the root
      EPERM      the sticky bit of the directory above denies it
      ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG  the path walk fails (namei.lua)
]]
function sys.rmdir(path)
  local at = namei.filename_parentat(path)
  unlink.check_name(at, path)
  local node = unlink.existing(at, path)
  namei.may_delete(at.dir, node, true)
  if not inode.is_empty(node) then kernel.fail("ENOTEMPTY", path .. " is not empty") end
  unlink.remove(at.dir, at.name, node)
end

return unlink
