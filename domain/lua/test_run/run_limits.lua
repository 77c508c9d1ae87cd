-- Checks before the first write that a commit fits, into the maps and into the time that Redis may spend.
-- A run deletes before it updates, and writes no key twice; LRU maps make room themselves.
local kernel = use("base/kernel")
local run_values = use("test_run/run_values")
local uapi = use("uapi")
local lookup_exact = run_values.lookup_exact
local KIND, KEY = uapi.WRITE_AT.update.kind, uapi.WRITE_AT.update.key
local PUSH_FLAGS, RECORD = uapi.WRITE_AT.push.flags, uapi.WRITE_AT.output.value

local run_limits = {}

-- Small elements of a hash that one script handles in a few ms; larger or slower elements count for more.
local LOOKUPS, CHANGES = 4096, 1024
local BYTES = 512

function run_limits.lookup_cost(m)
  return m.ops.lookup_cost and m.ops.lookup_cost(m) or 1
end

local function change_cost(m, kind)
  local cost = m.ops.change_cost and m.ops.change_cost(m, kind) or 1
  return cost + math.floor((m.key_size + m.value_bytes) / BYTES)
end

-- Adds the cost of this map to that of the commit. Errors: E2BIG when it is too much.
function run_limits.spend(m, reads, writes)
  local left = current.run_limits or { lookups = LOOKUPS, changes = CHANGES }
  current.run_limits = left
  local look, change = run_limits.lookup_cost(m), {}
  for _, read in ipairs(reads) do left.lookups = left.lookups - (read[KIND] == "value" and look or 1) end
  for _, write in ipairs(writes) do
    local kind = write[KIND]
    change[kind] = change[kind] or change_cost(m, kind)
    left.changes = left.changes - change[kind]
  end
  if left.lookups < 0 or left.changes < 0 then
    kernel.fail("E2BIG",
      "a run may read 4096 elements and change 1024; larger or slower elements count for more")
  end
end

local function elements_fit(m, writes)
  local count = m.ops.entries(m)
  for _, write in ipairs(writes) do
    if write[KIND] == "delete" and lookup_exact(m, write[KEY]) then count = count - 1 end
    if write[KIND] == "update" and not lookup_exact(m, write[KEY]) then count = count + 1 end
  end
  return count <= m.max_entries
end

-- A push with BPF_EXIST discards the oldest element of a full queue.
local function pushes_fit(m, writes)
  local count = m.ops.entries(m)
  for _, write in ipairs(writes) do
    if write[KIND] == "pop" then count = count - 1
    elseif count < m.max_entries then count = count + 1
    elseif write[PUSH_FLAGS] == 0 then return false end
  end
  return true
end

local function records_fit(m, writes)
  local list = {}
  for i, write in ipairs(writes) do list[i] = write[RECORD] end
  return m.ops.fits(m, list)
end

-- writes: to this map, in their order.
function run_limits.fits(m, writes)
  if m.ops.touch or m.ops.lookup_by_value or m.ops.dump_all then return true end
  if m.ops.peek_many then return pushes_fit(m, writes) end
  return (m.ops.fits and records_fit or elements_fit)(m, writes)
end

return run_limits
