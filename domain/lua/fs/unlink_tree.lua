-- The command that removes a node and everything below it (extension).
local kernel = use("base/kernel")
local cred = use("base/cred")
local inode = use("fs/inode")
local namei = use("fs/namei")
local unlink = use("fs/unlink")

-- Names that one atomic step removes.
local TREE = 150

local function collect(dir, name, node, found)
  namei.may_delete(dir, node, node.kind == "directory")
  found.seen = (found.seen or 0) + 1
  if found.seen > TREE then
    kernel.fail("E2BIG", "at most " .. TREE .. " names can be removed at once: remove parts first")
  end
  if node.kind == "directory" and not inode.is_empty(node) then
    cred.check_access(node, 4, "reading the directory " .. name)
    cred.check_access(node, 1, "searching the directory " .. name)
    local page = inode.readdir(node, 0, "", TREE)
    for i = 1, #page, 2 do collect(node, page[i], inode.load(page[i + 1]), found) end
  end
  found[#found + 1] = { dir, name, node }
end

--[[
  rm -r: removes a node and everything below it, all or nothing (extension).

    Input:
      path
    Output: nothing
    Errors:
      E2BIG                     more names than one atomic step removes
      ENOTEMPTY, EINVAL, EBUSY  the path ends in .. or . or is the root
      EPERM                     a sticky bit denies it
      ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG  the path walk fails (namei.lua)
]]
function kernel.sys.unlink_tree(path)
  local at = namei.filename_parentat(path)
  unlink.check_name(at, path)
  local found = {}
  collect(at.dir, at.name, unlink.existing(at, path), found)
  for _, entry in ipairs(found) do unlink.remove(unpack(entry)) end
end
