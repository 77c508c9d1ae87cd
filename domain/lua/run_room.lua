-- Whether what a run did finds room, found out before the first write. Of a map's elements deletions come
-- before updates, and no key twice; LRU maps make their own room.
local run_room = {}

-- The value of just this key.
function run_room.own(m, key)
  return (m.ops.own or m.ops.lookup)(m, key)
end

local function elements(m, ops)
  local count = m.ops.entries(m)
  for _, op in ipairs(ops) do
    if op[2] == "delete" and run_room.own(m, op[3]) then count = count - 1 end
    if op[2] == "update" and not run_room.own(m, op[3]) then count = count + 1 end
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
function run_room.fits(m, ops)
  if m.ops.touch or m.ops.asks_value then return true end
  if m.ops.front then return queued(m, ops) end
  return (m.ops.fits and records or elements)(m, ops)
end

return run_room
