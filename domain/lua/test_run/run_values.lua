-- Reads the values that a commit compares and changes into m.values: each once, many at a time.
local map = use("map/map")
local uapi = use("uapi")
local READ, WRITE = uapi.READ_AT, uapi.WRITE_AT
local KIND, KEY = READ.value.kind, READ.value.key
local VALUE, OFFSET, ADDEND = WRITE.write.value, WRITE.add.offset, WRITE.add.addend

local run_values = {}

-- The value of exactly this key, which an LPM trie looks up by prefix otherwise; false for none.
function run_values.lookup_exact(m, key)
  local value = m.values[key]
  if value == nil then
    value = (m.ops.lookup_exact or m.ops.lookup)(m, key) or false
    m.values[key] = value
  end
  return value
end

local function add_key(keys, key)
  if not keys[key] then keys[#keys + 1], keys[key] = key, true end
end

-- For an LPM trie, the prefixes themselves and not what a lookup finds.
local function keys_of(m, reads, writes)
  local keys = {}
  for _, read in ipairs(reads) do
    if read[KIND] == "present" or (read[KIND] == "value" and not m.ops.longest_match) then
      add_key(keys, read[KEY])
    end
  end
  for _, write in ipairs(writes) do
    if write[KIND] ~= "update" or not m.ops.dump_all then add_key(keys, write[KEY]) end
  end
  return keys
end

-- reads, writes: of this map.
function run_values.fetch(m, reads, writes)
  m.values = {}
  if not m.ops.lookup_many then return end
  local keys = keys_of(m, reads, writes)
  if #keys == 0 then return end
  for i, value in ipairs(m.ops.lookup_many(m, keys)) do m.values[keys[i]] = value end
end

-- Adds little-endian numbers of 4 or 8 bytes, two bytes at a time.
local function sum(a, b)
  local out, carry = {}, 0
  for i = 1, #a, 2 do
    local part = struct.unpack("<I2", a, i) + struct.unpack("<I2", b, i) + carry
    carry = part > 65535 and 1 or 0
    out[#out + 1] = struct.pack("<I2", part % 65536)
  end
  return table.concat(out)
end

-- Replaces every "add" by the "write" of its sum, and clears the locks in all values.
function run_values.resolve_adds(m, writes)
  for _, write in ipairs(writes) do
    if write[KIND] == "add" then
      local value, from, addend = run_values.lookup_exact(m, write[KEY]), write[OFFSET], write[ADDEND]
      local old = value:sub(from + 1, from + #addend)
      value = value:sub(1, from) .. sum(old, addend) .. value:sub(from + #addend + 1)
      write[ADDEND] = nil
      write[KIND], write[VALUE], m.values[write[KEY]] = "write", value, value
    end
    if m.locks and write[VALUE] then write[VALUE] = map.clear_locks(m, write[VALUE]) end
  end
  return writes
end

return run_values
