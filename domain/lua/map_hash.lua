-- BPF_MAP_TYPE_HASH (kernel/bpf/hashtab.c): a Redis hash, and a sorted set of its keys by bytes, so
-- that iteration goes on in O(log n) wherever it stopped.
-- Invariant: both hold the same keys, at most max_entries.
local kernel = use("kernel")
local map = use("map")
local call = redis.call

local NO_PREALLOC, ZERO_SEED, NO_COMMON_LRU = 1, 64, 2
local EXIST, NOEXIST = 2, 1
-- KMALLOC_MAX_SIZE less the element's head; as many buckets as 4 GiB have room for. Both measured.
local ELEMENT_MAX = 4194304 - 49
local ENTRIES_MAX = 134217728

local function keys(m)
  return kernel.key("elem", m.id), kernel.key("keys", m.id)
end

-- htab_map_alloc_check()
local function alloc_check(attr)
  if bit.band(attr.map_flags, ZERO_SEED) ~= 0 then use("cred").need_admin("BPF_F_ZERO_SEED") end
  use("map_attr").check_flags(attr, NO_PREALLOC + ZERO_SEED + NO_COMMON_LRU)
  if bit.band(attr.map_flags, NO_COMMON_LRU) ~= 0 then map.invalid("BPF_F_NO_COMMON_LRU") end
  for _, field in ipairs({ "max_entries", "key_size", "value_size" }) do
    if attr[field] == 0 then map.invalid(field .. " is 0") end
  end
  if attr.key_size + attr.value_size > ELEMENT_MAX then
    kernel.fail("E2BIG", "key_size and value_size are more than " .. ELEMENT_MAX)
  end
end

local function alloc(attr)
  if attr.max_entries > ENTRIES_MAX then kernel.fail("E2BIG", "max_entries is more than 2^27") end
end

local function lookup(m, key)
  return call("HGET", kernel.key("elem", m.id), key)
end

-- htab_map_update_elem(): EINVAL, then EEXIST or ENOENT, then E2BIG for a new key in a full map.
local function update(m, key, value, flags)
  local elements, order = keys(m)
  if flags > EXIST then kernel.fail("EINVAL", "flags " .. flags) end
  local present = call("HEXISTS", elements, key) == 1
  if present and flags == NOEXIST then kernel.fail("EEXIST", "the key is there") end
  if not present then
    if flags == EXIST then kernel.fail("ENOENT", "the key is not there") end
    if call("HLEN", elements) >= m.max_entries then
      kernel.fail("E2BIG", "the map is full: " .. m.max_entries .. " elements")
    end
    call("ZADD", order, 0, key)
  end
  call("HSET", elements, key, value)
end

local function take(m, key)
  local elements, order = keys(m)
  local value = call("HGET", elements, key)
  if value then
    call("HDEL", elements, key)
    call("ZREM", order, key)
  end
  return value
end

local function delete(m, key)
  if not take(m, key) then kernel.fail("ENOENT", "the key is not there") end
end

-- An unknown key starts over, as in htab_map_get_next_key().
local function next_key(m, key)
  local elements, order = keys(m)
  local from = key and call("HEXISTS", elements, key) == 1 and "(" .. key or "-"
  return call("ZRANGEBYLEX", order, from, "+", "LIMIT", 0, 1)[1]
end

local function page(m, cursor, limit)
  local elements, order = keys(m)
  local from = cursor and "(" .. cursor or "-"
  local some = call("ZRANGEBYLEX", order, from, "+", "LIMIT", 0, limit + 1)
  local more = #some > limit
  if more then some[#some] = nil end
  if #some == 0 then return {} end
  local values, list = call("HMGET", elements, unpack(some)), {}
  for i, key in ipairs(some) do list[2 * i - 1], list[2 * i] = key, values[i] end
  return list, more and some[#some] or nil
end

local function entries(m)
  return call("HLEN", kernel.key("elem", m.id))
end

local function free(_, m)
  call("UNLINK", keys(m))
end

return { alloc_check = alloc_check, alloc = alloc, lookup = lookup, update = update, take = take,
  delete = delete, next_key = next_key, page = page, entries = entries, free = free }
