-- Whether what a run did finds room, in Redis' time and in the maps, found out before the first write. Of a
-- map's elements deletions come before updates, and no key twice; LRU maps make their own room.
local kernel = use("base/kernel")
local run_values = use("test_run/run_values")
local own = run_values.own

local run_limits = {}

-- What one script sees to in a few ms, of small elements of a hash; others count for more.
local LOOKS, CHANGES = 4096, 1024
local BYTES = 512

function run_limits.look_cost(m)
  return m.ops.look_cost and m.ops.look_cost(m) or 1
end

local function change_cost(m, kind)
  local cost = m.ops.change_cost and m.ops.change_cost(m, kind) or 1
  return cost + math.floor((m.key_size + m.value_bytes) / BYTES)
end

-- E2BIG when all that the commit has to do, with this, is too much.
function run_limits.spend(m, reads, ops)
  local left = current.run_limits or { looks = LOOKS, changes = CHANGES }
  current.run_limits = left
  local look, change = run_limits.look_cost(m), {}
  for _, read in ipairs(reads) do left.looks = left.looks - (read[2] == "value" and look or 1) end
  for _, op in ipairs(ops) do
    local kind = op[2]
    change[kind] = change[kind] or change_cost(m, kind)
    left.changes = left.changes - change[kind]
  end
  if left.looks < 0 or left.changes < 0 then
    kernel.fail("E2BIG",
      "a run looks at 4096 elements and changes 1024; larger or slower ones count for more")
  end
end

local function elements(m, ops)
  local count = m.ops.entries(m)
  for _, op in ipairs(ops) do
    if op[2] == "delete" and own(m, op[3]) then count = count - 1 end
    if op[2] == "update" and not own(m, op[3]) then count = count + 1 end
  end
  return count <= m.max_entries
end

-- A push with BPF_EXIST discards the oldest of a full one.
local function queued(m, ops)
  local count = m.ops.entries(m)
  for _, op in ipairs(ops) do
    if op[2] == "pop" then count = count - 1
    elseif count < m.max_entries then count = count + 1
    elseif op[4] == 0 then return false end
  end
  return true
end

local function records(m, ops)
  local list = {}
  for i, op in ipairs(ops) do list[i] = op[3] end
  return m.ops.fits(m, list)
end

-- ops: of this map, in their order.
function run_limits.fits(m, ops)
  if m.ops.touch or m.ops.asks_value or m.ops.image then return true end
  if m.ops.front then return queued(m, ops) end
  return (m.ops.fits and records or elements)(m, ops)
end

return run_limits
