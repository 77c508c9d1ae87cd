-- Operations of hash tables (kernel/bpf/hashtab.c): a Redis hash, and a sorted set of its keys by bytes, so
-- that iteration resumes in O(log n) wherever it stopped.
-- Invariant: both hold the same keys, at most max_entries.
local kernel = use("base/kernel")
local work = use("base/work")
local map = use("map/map")
local cred = use("base/cred")
local map_attr = use("map/map_attr")
local uapi = use("uapi")
local call = redis.call
local band = bit.band

local NO_PREALLOC, NO_COMMON_LRU = uapi.BPF_F_NO_PREALLOC, uapi.BPF_F_NO_COMMON_LRU
local NUMA_NODE, ZERO_SEED = uapi.BPF_F_NUMA_NODE, uapi.BPF_F_ZERO_SEED
-- KMALLOC_MAX_SIZE less the element's head, PCPU_MIN_UNIT_SIZE, and the buckets that fit into 4 GiB; all
-- measured on Linux.
local ELEMENT_MAX, PERCPU_MAX, ENTRIES_MAX = 4194304 - 49, 32768, 134217728

local htab = {}
local NOEXIST, EXIST = uapi.BPF_NOEXIST, uapi.BPF_EXIST

function htab.keys(m)
  return kernel.key("elem", m.id), kernel.key("keys", m.id)
end

-- htab_map_alloc_check(); traits: { is_percpu, is_lru }.
function htab.alloc_check(attr, traits)
  local flags = attr.map_flags
  local apart = band(flags, NO_COMMON_LRU) ~= 0
  if band(flags, ZERO_SEED) ~= 0 then cred.need_admin("BPF_F_ZERO_SEED") end
  map_attr.check_flags(attr, NO_PREALLOC + ZERO_SEED + NO_COMMON_LRU)
  if apart and not traits.is_lru then map.einval("BPF_F_NO_COMMON_LRU is allowed for LRU maps only") end
  if traits.is_lru and band(flags, NO_PREALLOC) ~= 0 then
    kernel.fail("ENOTSUPP", "an LRU map must not have BPF_F_NO_PREALLOC: it is preallocated")
  end
  if band(flags, NUMA_NODE) ~= 0 and (traits.is_percpu or apart) then
    map.einval("BPF_F_NUMA_NODE is not allowed: the map is spread over all CPUs")
  end
  for _, field in ipairs({ "max_entries", "key_size", "value_size" }) do
    if attr[field] == 0 then map.einval(field .. " must be > 0, got 0") end
  end
  if attr.key_size + attr.value_size > ELEMENT_MAX then
    kernel.fail("E2BIG", "key_size + value_size must be at most " .. ELEMENT_MAX .. ", got "
      .. attr.key_size + attr.value_size)
  end
  if traits.is_percpu and attr.value_size > PERCPU_MAX then
    kernel.fail("E2BIG", "value_size must be at most " .. PERCPU_MAX .. ", got " .. attr.value_size)
  end
end

function htab.alloc(attr)
  if attr.max_entries > ENTRIES_MAX then
    kernel.fail("E2BIG", "max_entries must be at most " .. ENTRIES_MAX .. ", got " .. attr.max_entries)
  end
end

-- check_flags(): which flags are wrong depends on whether the key exists.
function htab.check_flags(present, flags)
  if present and flags == NOEXIST then kernel.fail("EEXIST", "the key exists (BPF_NOEXIST)") end
  if not present and flags == EXIST then kernel.fail("ENOENT", "the key does not exist (BPF_EXIST)") end
end

function htab.lookup(m, key)
  return call("HGET", kernel.key("elem", m.id), key)
end

-- htab_map_update_elem(): EINVAL, then EEXIST or ENOENT, then E2BIG for a new key in a full map.
function htab.update(m, key, value, flags)
  local elements, order = htab.keys(m)
  map.check_update_flags(flags)
  local present = call("HEXISTS", elements, key) == 1
  htab.check_flags(present, flags)
  if not present then
    if call("HLEN", elements) >= m.max_entries then map.fail_full(m) end
    call("ZADD", order, 0, key)
  end
  call("HSET", elements, key, value)
end

function htab.lookup_and_delete(m, key)
  local value = htab.lookup(m, key)
  if value then htab.remove_keys(m, { key }) end
  return value
end

-- Removes keys that exist.
function htab.remove_keys(m, keys)
  local elements, order = htab.keys(m)
  call("HDEL", elements, unpack(keys))
  call("ZREM", order, unpack(keys))
end

function htab.delete(m, key)
  if not m.ops.remove(m, key) then kernel.fail("ENOENT", "the map has no such key") end
end

-- An unknown key starts over, as in htab_map_get_next_key().
function htab.next_key(m, key)
  local _, order = htab.keys(m)
  local from = key and call("ZSCORE", order, key) and "(" .. key or "-"
  return call("ZRANGEBYLEX", order, from, "+", "LIMIT", 0, 1)[1]
end

function htab.lookup_many(m, keys)
  return call("HMGET", kernel.key("elem", m.id), unpack(keys))
end

function htab.page(m, cursor, limit)
  local _, order = htab.keys(m)
  local some = call("ZRANGEBYLEX", order, cursor and "(" .. cursor or "-", "+", "LIMIT", 0, limit + 1)
  local more = #some > limit
  if more then some[#some] = nil end
  if #some == 0 then return {} end
  local list = {}
  for i, value in ipairs(m.ops.lookup_many(m, some)) do
    list[2 * i - 1], list[2 * i] = some[i], value
  end
  return list, more and some[#some] or nil
end

function htab.entries(m)
  return call("HLEN", kernel.key("elem", m.id))
end

function htab.free(_, m)
  local elements, order = htab.keys(m)
  work.unlink(elements)
  work.unlink(order)
end

return htab
