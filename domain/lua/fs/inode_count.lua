-- The number of nodes of the tree beside its root: those made, less those freed.
-- Invariant: `inodes_counted` is set only after a moment at which the tree was empty and the count was 0.
local kernel = use("base/kernel")
local call = redis.call

local inode_count = {}

local function is_tree_empty()
  return call("EXISTS", kernel.key("dir", 1)) == 0
end

-- Before a node is made. Versions without the count leave the field of freed nodes behind. An empty tree has
-- no node, so that the count is right from the next one on.
function inode_count.start()
  if not is_tree_empty() then return end
  local made = call("HGET", current.meta, "inode") or 0
  call("HSET", current.meta, "inodes_freed", made, "inodes_counted", 1)
end

function inode_count.note_freed()
  kernel.increment("inodes_freed")
end

-- Answers false if a version without the count has made some. A deletion takes directories out of the tree
-- before their nodes.
function inode_count.read()
  if not current.deleting and is_tree_empty() then return 0 end
  local counters = call("HMGET", current.meta, "inode", "inodes_freed", "inodes_counted")
  return counters[3] and counters[1] - counters[2]
end

return inode_count
