-- Applies the changes of a run to an LRU map in their order, with the same result as htab_lru.lua gives one
-- by one. Only the elements of these operations move before the next refill, so a step writes them together.
local htab = use("map/hash/htab")
local htab_lru = use("map/hash/htab_lru")
local lru_list = use("map/hash/lru_list")
local uapi = use("uapi")
local call = redis.call
-- Every operation of an element has its key at the same position.
local KIND, KEY, VALUE = uapi.WRITE_AT.update.kind, uapi.WRITE_AT.update.key, uapi.WRITE_AT.update.value

local STEP = 128

-- `pending` of a key is true in the pending list, false in the other lists, and nil for no element.
local function begin(m, ops, from)
  local keys = {}
  for i = from, math.min(#ops, from + STEP - 1) do keys[#keys + 1] = ops[i][KEY] end
  local free = tonumber(call("HGET", m.record, "local") or 0)
  return { pending = lru_list.pending(m, keys), in_place = m.ops.is_percpu, free = free, free_before = free,
    last = from + #keys - 1, set = {}, moved = {}, used = {}, gone = {} }
end

local operations = {}

function operations.write(step, key, value)
  if step.pending[key] == nil then return end
  step.set[#step.set + 1], step.set[#step.set + 2] = key, value
end

function operations.update(step, key, value)
  local was = step.pending[key]
  step.used[key] = was ~= nil or nil
  if was == nil or not step.in_place then
    if not was then step.free = step.free - 1 end
    step.moved[#step.moved + 1], step.pending[key] = key, true
  end
  operations.write(step, key, value)
end

function operations.touch(step, key)
  step.used[key] = step.pending[key] ~= nil or nil
end

function operations.delete(step, key)
  if step.pending[key] == nil then return end
  if step.pending[key] then step.free = step.free + 1 end
  step.pending[key], step.used[key] = nil, nil
  step.gone[#step.gone + 1] = key
end

local function finish(m, step)
  local elements, order = htab.keys(m)
  if #step.set > 0 then call("HSET", elements, unpack(step.set)) end
  local ordered = {}
  for i, key in ipairs(step.moved) do ordered[2 * i - 1], ordered[2 * i] = "0", key end
  if #ordered > 0 then call("ZADD", order, unpack(ordered)) end
  lru_list.add(m, step.moved)
  for key in pairs(step.used) do lru_list.set_ref(m, key) end
  if #step.gone > 0 then
    htab.remove_keys(m, step.gone)
    lru_list.remove(m, step.gone)
  end
  if step.free ~= step.free_before then call("HSET", m.record, "local", step.free) end
end

local function apply(m, ops)
  local at = 1
  while at <= #ops do
    if ops[at][KIND] == "update" then htab_lru.make_room(m) end
    local step = begin(m, ops, at)
    repeat
      operations[ops[at][KIND]](step, ops[at][KEY], ops[at][VALUE])
      at = at + 1
    until at > step.last or (step.free <= 0 and ops[at][KIND] == "update")
    finish(m, step)
  end
end

return { apply = apply }
