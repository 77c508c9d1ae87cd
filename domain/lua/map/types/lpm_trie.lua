-- BPF_MAP_TYPE_LPM_TRIE (kernel/bpf/lpm_trie.c): prefixes by their place in the trie's order in a Redis
-- hash, the places in a sorted set, and how many prefixes there are of each length in another hash.
-- A lookup reads one place for each length in use, whatever the number of prefixes.
-- Invariant: the hash and the sorted set hold the same places, `lens` counts them.
local kernel = use("base/kernel")
local map = use("map/map")
local lpm_key = use("map/lpm_key")
local map_attr = use("map/map_attr")
local uapi = use("uapi")
local call = redis.call
local longest, split, exact = lpm_key.longest, lpm_key.split, lpm_key.exact

local NO_PREALLOC, NOEXIST, EXIST = uapi.BPF_F_NO_PREALLOC, uapi.BPF_NOEXIST, uapi.BPF_EXIST
local KEY_MIN, KEY_MAX, VALUE_MAX = 5, 260, 4194304 - 280

local function alloc_check() end

-- trie_alloc()
local function alloc(attr)
  if attr.max_entries == 0 then map.einval("max_entries must be > 0, got 0") end
  if bit.band(attr.map_flags, NO_PREALLOC) == 0 then
    map.einval("map_flags must have BPF_F_NO_PREALLOC (1), got " .. attr.map_flags)
  end
  map_attr.check_flags(attr, NO_PREALLOC)
  if attr.key_size < KEY_MIN or attr.key_size > KEY_MAX then
    map.einval("key_size must be from 5 to 260, got " .. attr.key_size)
  end
  if attr.value_size == 0 or attr.value_size > VALUE_MAX then
    map.einval("value_size must be from 1 to " .. VALUE_MAX .. ", got " .. attr.value_size)
  end
end

local function nouns(m)
  return kernel.key("elem", m.id), kernel.key("keys", m.id), kernel.key("lens", m.id)
end

-- Places read at a time, those of the longest prefixes first: most lookups end with the first of them.
local STEP = 128

-- trie_lookup_elem(): the value of the longest prefix that is not longer than the key's own, and its key.
local function lookup(m, key)
  local elements, _, lens = nouns(m)
  local length, data = split(key)
  if length > longest(m) then return nil end
  local lengths, count = lpm_key.lengths(call("HKEYS", lens), length)
  local place = lpm_key.places(m, data)
  for first = 1, count, STEP do
    local places = {}
    for i = first, math.min(first + STEP - 1, count) do places[i - first + 1] = place(lengths[i]) end
    for i, value in ipairs(call("HMGET", elements, unpack(places))) do
      if value then
        local found = struct.pack("<I4", lengths[first + i - 1]) .. value:sub(1, #data)
        return value:sub(#data + 1), found
      end
    end
  end
end

-- The value of the prefix itself.
local function lookup_exact(m, key)
  local at = exact(m, key)
  local stored = at and call("HGET", (nouns(m)), at)
  return stored and stored:sub(m.key_size - 3)
end

-- The values of the prefixes themselves; "" is no prefix's place.
local function lookup_many(m, keys)
  local places = {}
  for i, key in ipairs(keys) do places[i] = exact(m, key) or "" end
  local values = call("HMGET", (nouns(m)), unpack(places))
  for i, stored in ipairs(values) do values[i] = stored and stored:sub(m.key_size - 3) end
  return values
end

-- Each length in use costs as much as a lookup in a hash.
local function lookup_cost(m)
  local _, _, lens = nouns(m)
  return 8 + call("HLEN", lens)
end

local function change_cost() return 3 end

-- trie_update_elem(); the bits behind the prefix are kept, and replaced with the value.
local function update(m, key, value, flags)
  local elements, order, lens = nouns(m)
  map.check_update_flags(flags)
  local at, length, data = lpm_key.place_of(m, key)
  local present = call("HEXISTS", elements, at) == 1
  if present and flags == NOEXIST then kernel.fail("EEXIST", "the prefix exists (BPF_NOEXIST)") end
  if not present then
    if flags == EXIST then kernel.fail("ENOENT", "the prefix does not exist (BPF_EXIST)") end
    if call("HLEN", elements) >= m.max_entries then map.fail_full(m, "ENOSPC") end
    call("ZADD", order, 0, at)
    call("HINCRBY", lens, length, 1)
  end
  call("HSET", elements, at, data .. value)
end

local function delete(m, key)
  local elements, order, lens = nouns(m)
  local at, length = lpm_key.place_of(m, key)
  if call("HDEL", elements, at) == 0 then kernel.fail("ENOENT", "the trie has no such prefix") end
  call("ZREM", order, at)
  if call("HINCRBY", lens, length, -1) == 0 then call("HDEL", lens, length) end
end

-- The key as it was stored, and its value.
local function element(m, at, stored)
  local length = longest(m) - struct.unpack(">I2", at:sub(-2))
  local size = m.key_size - 4
  return struct.pack("<I4", length) .. stored:sub(1, size), stored:sub(size + 1)
end

local function after(m, at, limit)
  local _, order = nouns(m)
  return call("ZRANGEBYLEX", order, at and "(" .. at or "-", "+", "LIMIT", 0, limit)
end

local function next_key(m, key)
  local elements, order = nouns(m)
  local at = key and exact(m, key)
  local found = after(m, at and call("ZSCORE", order, at) and at, 1)[1]
  return found and (element(m, found, call("HGET", elements, found)))
end

-- A cursor is the last key shown.
local function page(m, cursor, limit)
  local places, list = after(m, cursor and lpm_key.resume(m, cursor), limit + 1), {}
  local more = #places > limit and table.remove(places)
  if #places == 0 then return list end
  for i, stored in ipairs(call("HMGET", (nouns(m)), unpack(places))) do
    list[2 * i - 1], list[2 * i] = element(m, places[i], stored)
  end
  return list, more and list[#list - 1] or nil
end

local function entries(m)
  return call("HLEN", (nouns(m)))
end

local function free(_, m)
  call("UNLINK", nouns(m))
end

map.register("lpm_trie", {
  alloc_check = alloc_check, alloc = alloc, lookup = lookup, lookup_exact = lookup_exact,
  lookup_many = lookup_many, lookup_cost = lookup_cost, change_cost = change_cost, update = update,
  delete = delete, next_key = next_key, page = page, entries = entries, free = free,
  longest_match = true, page_max = 400, batch_kind = "trie", check_btf = lpm_key.check_btf
})
