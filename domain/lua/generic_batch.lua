-- Batches one element at a time (kernel/bpf/syscall.c generic_map_*_batch), and which types have which.

local generic_batch = {}

-- Runs an operation on each pair until one fails; answers how many were done and what was raised.
local function each(m, pairs_, operation)
  for i = 1, #pairs_ do
    local ok, raised = pcall(operation, m, pairs_[i][1], pairs_[i][2])
    if not ok then return i - 1, raised end
  end
  return #pairs_
end

local function update_one(m, key, value)
  m.ops.update(m, key, value, 0)
end

function generic_batch.update(m, list) return each(m, list, update_one) end
function generic_batch.delete(m, list) return each(m, list, m.ops.delete) end

function generic_batch.lookup(m, cursor, limit)
  return m.ops.page(m, cursor, limit)
end

-- What is told is taken out, too.
function generic_batch.lookup_and_delete(m, cursor, limit)
  local list, rest = m.ops.page(m, cursor, limit)
  for i = 1, #list, 2 do m.ops.remove(m, list[i]) end
  return list, rest
end

local lookup, update, delete = generic_batch.lookup, generic_batch.update, generic_batch.delete
generic_batch.array = { lookup = lookup, update = update }
generic_batch.trie = { lookup = lookup, update = update, delete = delete }
-- whole: a hash table says ENOENT with its last bucket, the others when asked for more.
generic_batch.hash = { lookup = lookup, lookup_and_delete = generic_batch.lookup_and_delete,
  update = update, delete = delete, whole = true }

return generic_batch
