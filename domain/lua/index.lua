-- What map types with an index for a key share (array_map_alloc_check, array_map_get_next_key).
local kernel = use("kernel")
local map = use("map")

local index = {}

function index.alloc_check(attr, flags)
  if attr.max_entries == 0 then map.invalid("max_entries is 0") end
  if attr.key_size ~= 4 then map.invalid("key_size is not 4") end
  if attr.value_size == 0 then map.invalid("value_size is 0") end
  use("map_attr").check_flags(attr, flags)
end

function index.of(key)
  return (struct.unpack("<I4", key))
end

function index.key(i)
  return struct.pack("<I4", i)
end

-- The index, or E2BIG.
function index.check(m, key)
  local i = index.of(key)
  if i >= m.max_entries then
    kernel.fail("E2BIG", "index " .. i .. " of an array of " .. m.max_entries)
  end
  return i
end

-- No key and a key past the end give the first, the last one ends it.
function index.next_key(m, key)
  local i = key and index.of(key)
  if not i or i >= m.max_entries then return index.key(0) end
  return i + 1 < m.max_entries and index.key(i + 1) or nil
end

return index
