-- Removes everything in a directory in bounded steps, whatever the permissions. A subdirectory leaves the
-- tree with its names, and an item of its own empties it, so that a deep tree costs no more than a flat one.
-- Invariant: each inode is reached from the root, or from the directory of an item "prune".
local kernel = use("base/kernel")
local work = use("base/work")
local inode = use("fs/inode")
local call = redis.call

local prune = {}
local ROOT = 1
-- Units of the work list for a name and its inode.
local NAME = 4

local function remove(dir, name, node)
  inode.remove_name(dir, name, node)
  if node.kind == "directory" and not inode.is_empty(node) then
    work.push("prune", node.ino)
  else
    inode.drop_nlink(node)
  end
end

work.handle("prune", function(ino)
  local dir, limit = inode.load(ino), math.ceil(work.room() / NAME)
  local page = inode.readdir(dir, 0, "", limit - 1)
  for i = 1, #page, 2 do remove(dir, page[i], inode.load(page[i + 1])) end
  if #page == 2 * limit then
    work.push("prune", ino)
  elseif dir.ino ~= ROOT then
    inode.drop_nlink(dir)
  end
  return NAME * #page / 2
end)

function prune.root()
  work.push("prune", ROOT)
end

function prune.is_root_empty()
  return inode.is_empty(inode.load(ROOT))
end

-- Whether the root is as in a new namespace.
function prune.is_root_untouched()
  return prune.is_root_empty() and inode.is_root_untouched()
end

-- Removes the root itself, once it is empty.
function prune.remove_root()
  call("DEL", kernel.key("inode", ROOT))
end

return prune
