-- Operations of the map types whose key is an index (kernel/bpf/arraymap.c).
local kernel = use("base/kernel")
local map = use("map/map")
local paged = use("map/array/paged")
local map_attr = use("map/map_attr")
local btf_type = use("btf/btf_type")
local uapi = use("uapi")

local NOEXIST = uapi.BPF_NOEXIST
-- Bytes of one array, and of one element.
local BYTES_MAX, VALUE_MAX = 4294967296, 4194304
-- A smaller array is read as one string.
local IMAGE_MAX = 65536

local arraymap = {}

-- array_map_alloc_check(), except for the upper limit of value_size.
function arraymap.alloc_check(attr, flags)
  if attr.max_entries == 0 then map.einval("max_entries must be > 0, got 0") end
  if attr.key_size ~= 4 then map.einval("key_size must be 4, got " .. attr.key_size) end
  if attr.value_size == 0 then map.einval("value_size must be > 0, got 0") end
  map_attr.check_flags(attr, flags)
end

-- bytes: one element on all CPUs.
function arraymap.check_room(attr, bytes)
  if bytes > VALUE_MAX then
    kernel.fail("ENOMEM", "an element must have at most " .. VALUE_MAX .. " bytes on all CPUs, got " .. bytes)
  end
  if bytes * attr.max_entries > BYTES_MAX then
    kernel.fail("ENOMEM", "an array must have at most " .. BYTES_MAX .. " bytes, got "
      .. ("%.0f"):format(bytes * attr.max_entries))
  end
end

-- array_map_check_btf(): the variables of a section are an array without a key.
function arraymap.check_btf(attr, key, value)
  if key and not key.is_i32 then
    map.einval("btf_key_type_id must be an integer of 32 bits for a " .. attr.map_type)
  end
  if key then return end
  if attr.map_type ~= "array" or attr.max_entries ~= 1 or value.kind ~= btf_type.DATASEC then
    map.einval("btf_key_type_id must not be 0, except for an array of one section (DATASEC)")
  end
end

function arraymap.index_of(key)
  return (struct.unpack("<I4", key))
end

function arraymap.key_of(i)
  return struct.pack("<I4", i)
end

-- The index, or E2BIG.
function arraymap.check_index(m, key)
  local i = arraymap.index_of(key)
  if i >= m.max_entries then
    kernel.fail("E2BIG", "index must be < " .. m.max_entries .. ", got " .. i)
  end
  return i
end

-- Without a key, or with one past the end, the first key; nil after the last.
function arraymap.next_key(m, key)
  local i = key and arraymap.index_of(key)
  if not i or i >= m.max_entries then return arraymap.key_of(0) end
  return i + 1 < m.max_entries and arraymap.key_of(i + 1) or nil
end

function arraymap.lookup(m, key)
  local i = arraymap.index_of(key)
  return i < m.max_entries and paged.read(m.id, m.value_bytes, i) or nil
end

-- The value without zeros that were never written; see paged.lua.
function arraymap.lookup_trimmed(m, key)
  local i = arraymap.index_of(key)
  if i >= m.max_entries then return nil end
  return paged.read_trimmed(m.id, m.value_bytes, i)
end

function arraymap.lookup_many(m, keys)
  local indices = {}
  for i, key in ipairs(keys) do indices[i] = arraymap.index_of(key) end
  return paged.read_indices(m.id, m.value_bytes, indices)
end

-- The index of an update. Order of checks: flags, index, BPF_NOEXIST.
function arraymap.check_update(m, key, flags)
  map.check_update_flags(flags)
  local i = arraymap.check_index(m, key)
  if flags == NOEXIST then kernel.fail("EEXIST", "BPF_NOEXIST: every element of an array exists") end
  return i
end

-- array_map_update_elem()
function arraymap.update(m, key, value, flags)
  paged.write(m.id, m.value_bytes, arraymap.check_update(m, key, flags), value)
end

function arraymap.delete()
  kernel.fail("EINVAL", "elements of an array cannot be deleted: write zeros")
end

-- All values in one string, at its end without the zeros that were never written.
function arraymap.dump_all(m)
  if m.value_bytes * m.max_entries <= IMAGE_MAX then
    return paged.dump_all(m.id, m.value_bytes, m.max_entries) or ""
  end
end

function arraymap.page(m, cursor, limit)
  local list, first = {}, cursor and arraymap.index_of(cursor) + 1 or 0
  local last = math.min(first + limit, m.max_entries) - 1
  for n, value in ipairs(paged.read_range(m.id, m.value_bytes, first, last)) do
    list[2 * n - 1], list[2 * n] = arraymap.key_of(first + n - 1), value
  end
  return list, last + 1 < m.max_entries and arraymap.key_of(last) or nil
end

function arraymap.entries(m)
  return m.max_entries
end

function arraymap.free(id, m)
  return paged.free(id, m.value_bytes, m.max_entries)
end

return arraymap
