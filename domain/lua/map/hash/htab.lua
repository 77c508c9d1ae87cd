-- What hash tables share (kernel/bpf/hashtab.c): a Redis hash, and a sorted set of its keys by bytes,
-- so that iteration goes on in O(log n) wherever it stopped.
-- Invariant: both hold the same keys, at most max_entries.
local kernel = use("base/kernel")
local map = use("map/map")
local cred = use("base/cred")
local map_attr = use("map/map_attr")
local uapi = use("uapi")
local call = redis.call
local band = bit.band

local NO_PREALLOC, NO_COMMON_LRU = uapi.BPF_F_NO_PREALLOC, uapi.BPF_F_NO_COMMON_LRU
local NUMA_NODE, ZERO_SEED = uapi.BPF_F_NUMA_NODE, uapi.BPF_F_ZERO_SEED
-- KMALLOC_MAX_SIZE less the element's head, PCPU_MIN_UNIT_SIZE, and as many buckets as 4 GiB have
-- room for; all measured.
local ELEMENT_MAX, PERCPU_MAX, ENTRIES_MAX = 4194304 - 49, 32768, 134217728

local htab = {}
local NOEXIST, EXIST = uapi.BPF_NOEXIST, uapi.BPF_EXIST

function htab.keys(m)
  return kernel.key("elem", m.id), kernel.key("keys", m.id)
end

-- htab_map_alloc_check(); traits: percpu, lru.
function htab.alloc_check(attr, traits)
  local flags = attr.map_flags
  local apart = band(flags, NO_COMMON_LRU) ~= 0
  if band(flags, ZERO_SEED) ~= 0 then cred.need_admin("BPF_F_ZERO_SEED") end
  map_attr.check_flags(attr, NO_PREALLOC + ZERO_SEED + NO_COMMON_LRU)
  if apart and not traits.lru then map.einval("BPF_F_NO_COMMON_LRU is for LRU maps") end
  if traits.lru and band(flags, NO_PREALLOC) ~= 0 then
    kernel.fail("ENOTSUPP", "an LRU map is preallocated: no BPF_F_NO_PREALLOC")
  end
  if band(flags, NUMA_NODE) ~= 0 and (traits.percpu or apart) then
    map.einval("BPF_F_NUMA_NODE: the map is spread over all CPUs")
  end
  for _, field in ipairs({ "max_entries", "key_size", "value_size" }) do
    if attr[field] == 0 then map.einval(field .. " is 0") end
  end
  if attr.key_size + attr.value_size > ELEMENT_MAX then
    kernel.fail("E2BIG", "key_size and value_size are more than " .. ELEMENT_MAX)
  end
  if traits.percpu and attr.value_size > PERCPU_MAX then
    kernel.fail("E2BIG", "value_size is more than " .. PERCPU_MAX)
  end
end

function htab.alloc(attr)
  if attr.max_entries > ENTRIES_MAX then kernel.fail("E2BIG", "max_entries is more than 2^27") end
end

-- check_flags(): whether the key is there decides what flags are wrong.
function htab.check_flags(present, flags)
  if present and flags == NOEXIST then kernel.fail("EEXIST", "the key is there") end
  if not present and flags == EXIST then kernel.fail("ENOENT", "the key is not there") end
end

function htab.check_known(flags)
  if flags > EXIST then kernel.fail("EINVAL", "flags " .. flags .. " is neither 0, 1 nor 2") end
end

function htab.lookup(m, key)
  return call("HGET", kernel.key("elem", m.id), key)
end

-- htab_map_update_elem(): EINVAL, then EEXIST or ENOENT, then E2BIG for a new key in a full map.
function htab.update(m, key, value, flags)
  local elements, order = htab.keys(m)
  htab.check_known(flags)
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

-- Takes keys out that are there.
function htab.remove_keys(m, keys)
  local elements, order = htab.keys(m)
  call("HDEL", elements, unpack(keys))
  call("ZREM", order, unpack(keys))
end

function htab.delete(m, key)
  if not m.ops.remove(m, key) then kernel.fail("ENOENT", "the key is not there") end
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
  call("UNLINK", htab.keys(m))
end

return htab
