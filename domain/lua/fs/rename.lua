-- rename(2), do_renameat2() and vfs_rename(): within one namespace, over an existing node too.
-- Invariant: the replaced name and the moved name change in one step; a replaced pin is put at once.
local kernel = use("base/kernel")
local cred = use("base/cred")
local inode = use("fs/inode")
local namei = use("fs/namei")

local function contains(stack, node)
  for _, dir in ipairs(stack) do
    if node and dir.ino == node.ino then return true end
  end
  return false
end

-- The checks that need no permission.
local function check_names(from, to, source, target)
  if source.kind ~= "directory" and (from.slash or to.slash) then
    kernel.fail("ENOTDIR", "a slash may follow the name of a directory only, not of a " .. source.kind)
  end
  if contains(to.stack, source) then kernel.fail("EINVAL", "a directory cannot be moved below itself") end
  if contains(from.stack, target) then kernel.fail("ENOTEMPTY", "the target contains the source") end
end

-- vfs_rename() and simple_rename()
local function check_permissions(from, to, source, target)
  local directory = source.kind == "directory"
  namei.may_delete(from.dir, source, directory)
  if target then
    namei.may_delete(to.dir, target, directory)
  else
    namei.may_create(to.dir)
  end
  if directory and from.dir.ino ~= to.dir.ino then
    cred.check_access(source, 2, "changing the parent of the directory")
  end
  if target and target.kind == "directory" and not inode.is_empty(target) then
    kernel.fail("ENOTEMPTY", "the target is a directory that is not empty")
  end
end

--[[
  rename(2) (kernel: do_renameat2(), vfs_rename()): renames a node, over an existing one too.

    Input:
      from  existing name
      to    new name
    Output: nothing
    Errors:
      EBUSY            a path ends in . or .. or is the root
      EINVAL           a directory would go below itself
      ENOTEMPTY        the target has entries, or contains the source
      EISDIR, ENOTDIR  only one of the two is a directory
      EPERM            a sticky bit denies it
      ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG  the path walk fails (namei.lua)
]]
function kernel.sys.rename(from_path, to_path)
  local from, to = namei.filename_parentat(from_path), namei.filename_parentat(to_path)
  if from.type ~= "norm" or to.type ~= "norm" then
    kernel.fail("EBUSY", "a path to rename must not end in . or .. or be the root")
  end
  local source = namei.lookup(from.dir, from.name)
  if not source then kernel.fail("ENOENT", from_path .. " does not exist") end
  local target = namei.lookup(to.dir, to.name)
  check_names(from, to, source, target)
  if target and target.ino == source.ino then return end
  check_permissions(from, to, source, target)
  if target then
    inode.remove_name(to.dir, to.name, target)
    inode.drop_nlink(target)
  end
  inode.remove_name(from.dir, from.name, source)
  inode.add_name(to.dir, to.name, source)
end
