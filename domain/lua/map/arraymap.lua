-- What map types with an index for a key share (kernel/bpf/arraymap.c).
local kernel = use("kernel")
local map = use("map")
local paged = use("paged")

local EXIST, NOEXIST = 2, 1
-- As much as one array may come to hold, and one element of it.
local BYTES_MAX, VALUE_MAX = 4294967296, 4194304
-- A smaller array is read as one string.
local IMAGE_MAX = 65536

local index = {}

-- array_map_alloc_check(), but for the sizes of values
function index.alloc_check(attr, flags)
  if attr.max_entries == 0 then map.invalid("max_entries is 0") end
  if attr.key_size ~= 4 then map.invalid("key_size is not 4") end
  if attr.value_size == 0 then map.invalid("value_size is 0") end
  use("map_attr").check_flags(attr, flags)
end

-- bytes: of one element, on all CPUs.
function index.check_room(attr, bytes)
  if bytes > VALUE_MAX then
    kernel.fail("ENOMEM", "the array's elements would have more than " .. VALUE_MAX .. " bytes")
  end
  if bytes * attr.max_entries > BYTES_MAX then
    kernel.fail("ENOMEM", "the array would have more than " .. BYTES_MAX .. " bytes")
  end
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

function index.lookup(m, key)
  local i = index.of(key)
  return i < m.max_entries and paged.read(m.id, m.value_bytes, i) or nil
end

function index.many(m, keys)
  local indices = {}
  for i, key in ipairs(keys) do indices[i] = index.of(key) end
  return paged.read_some(m.id, m.value_bytes, indices)
end

-- The index of an update: flags, index, then that there is nothing that does not exist.
function index.check_update(m, key, flags)
  if flags > EXIST then kernel.fail("EINVAL", "flags " .. flags .. " is neither 0, 1 nor 2") end
  local i = index.check(m, key)
  if flags == NOEXIST then kernel.fail("EEXIST", "every element of an array exists") end
  return i
end

-- array_map_update_elem()
function index.update(m, key, value, flags)
  paged.write(m.id, m.value_bytes, index.check_update(m, key, flags), value)
end

function index.delete()
  kernel.fail("EINVAL", "an array's elements cannot be deleted")
end

-- All values in one string, at its end without the zeros that were never written.
function index.image(m)
  if m.value_bytes * m.max_entries <= IMAGE_MAX then
    return paged.image(m.id, m.value_bytes, m.max_entries) or ""
  end
end

function index.page(m, cursor, limit)
  local list, first = {}, cursor and index.of(cursor) + 1 or 0
  local last = math.min(first + limit, m.max_entries) - 1
  for n, value in ipairs(paged.read_many(m.id, m.value_bytes, first, last)) do
    list[2 * n - 1], list[2 * n] = index.key(first + n - 1), value
  end
  return list, last + 1 < m.max_entries and index.key(last) or nil
end

function index.entries(m)
  return m.max_entries
end

function index.free(id, m)
  paged.free(id, m.value_bytes, m.max_entries)
end

return index
