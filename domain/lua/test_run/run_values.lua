-- The elements that a commit compares and changes: values are read once, many at a time, into m.values.
local map = use("map/map")

local run_values = {}

-- The value of just this key, false for none.
function run_values.own(m, key)
  local value = m.values[key]
  if value == nil then
    value = (m.ops.own or m.ops.lookup)(m, key) or false
    m.values[key] = value
  end
  return value
end

local function note(asked, key)
  if not asked[key] then asked[#asked + 1], asked[key] = key, true end
end

-- Of a trie it is the prefix itself that is read ahead, not what a key leads to.
local function keys_of(m, reads, ops)
  local asked = {}
  for _, read in ipairs(reads) do
    if read[2] == "present" or (read[2] == "value" and not m.ops.matches) then note(asked, read[3]) end
  end
  for _, op in ipairs(ops) do
    if op[2] ~= "update" or not m.ops.image then note(asked, op[3]) end
  end
  return asked
end

-- reads, ops: of this map.
function run_values.fetch(m, reads, ops)
  m.values = {}
  if not m.ops.many then return end
  local keys = keys_of(m, reads, ops)
  if #keys == 0 then return end
  for i, value in ipairs(m.ops.many(m, keys)) do m.values[keys[i]] = value end
end

-- Numbers of 4 or 8 bytes, little-endian, added part by part with the carry.
local function sum(a, b)
  local out, carry = {}, 0
  for i = 1, #a, 2 do
    local part = struct.unpack("<I2", a, i) + struct.unpack("<I2", b, i) + carry
    carry = part > 65535 and 1 or 0
    out[#out + 1] = struct.pack("<I2", part % 65536)
  end
  return table.concat(out)
end

-- The operations with values written instead of numbers added, and no locks in them.
function run_values.summed(m, ops)
  for i, op in ipairs(ops) do
    if op[2] == "add" then
      local value, from, numbers = run_values.own(m, op[3]), op[4], op[5]
      local old = value:sub(from + 1, from + #numbers)
      value = value:sub(1, from) .. sum(old, numbers) .. value:sub(from + #numbers + 1)
      ops[i], m.values[op[3]] = { op[1], "write", op[3], value }, value
    end
    if m.locks and ops[i][4] then ops[i][4] = map.unlocked(m, ops[i][4]) end
  end
  return ops
end

return run_values
