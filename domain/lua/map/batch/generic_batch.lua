-- Batches one element at a time (kernel/bpf/syscall.c generic_map_*_batch()), by the names that types use.
local htab_batch = use("map/hash/htab_batch")

local generic_batch = {}

-- Elements of one step at most: what a script does in a few ms. A prefix may have 256 bytes, and an LRU
-- map of few elements evicts one for each update.
local LIGHT, PREFIXES, HEAVY, LRU = 200, 100, 50, 25

-- Runs an operation on each key, or key and value, until one fails or the step is full; answers how
-- many were done and what was raised.
local function each(m, list, width, step, operation)
  local count = math.min(#list / width, step)
  for i = 1, count do
    local at = (i - 1) * width + 1
    local ok, raised = pcall(operation, m, list[at], list[at + 1])
    if not ok then return i - 1, raised end
  end
  return count
end

local function update_one(m, key, value)
  m.ops.update(m, key, value, 0)
end

local function delete_one(m, key)
  m.ops.delete(m, key)
end

local function updating(step)
  return function(m, list) return each(m, list, 2, step, update_one) end
end

local function deleting(step)
  return function(m, list) return each(m, list, 1, step, delete_one) end
end

-- Removes the elements that it answers.
local function taking(step)
  return function(m, cursor, limit)
    local list, rest = m.ops.page(m, cursor, math.min(limit, step))
    for i = 1, #list, 2 do m.ops.remove(m, list[i]) end
    return list, rest
  end
end

function generic_batch.lookup(m, cursor, limit)
  return m.ops.page(m, cursor, limit)
end

generic_batch.delete = deleting(LIGHT)
generic_batch.array = { lookup = generic_batch.lookup, update = updating(LIGHT) }
generic_batch.slots = { lookup = generic_batch.lookup, update = updating(HEAVY) }
generic_batch.trie = { lookup = generic_batch.lookup, update = updating(PREFIXES),
  delete = deleting(PREFIXES) }
-- whole: a hash table answers ENOENT with its last bucket, the others when more is requested.
generic_batch.hash = { lookup = generic_batch.lookup, lookup_and_delete = taking(HEAVY),
  update = updating(HEAVY), delete = deleting(HEAVY), whole = true }

generic_batch.lru = { lookup = generic_batch.lookup, lookup_and_delete = taking(HEAVY),
  update = updating(LRU), delete = deleting(HEAVY), whole = true }

generic_batch.table = { lookup = generic_batch.lookup, lookup_and_delete = htab_batch.lookup_and_delete,
  update = htab_batch.update, delete = generic_batch.delete, whole = true }

return generic_batch
