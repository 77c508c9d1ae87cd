-- BPF_MAP_TYPE_BLOOM_FILTER (kernel/bpf/bloom_filter.c): bits in pages, as many for a value as the
-- filter has hash functions. No keys: a value is pushed, and a peek with it tells whether it was.
local kernel = use("base/kernel")
local map = use("map/map")
local paged = use("map/array/paged")
local map_attr = use("map/map_attr")
local uapi = use("uapi")
local call = redis.call

local HASHES, HASHES_MAX = 5, 15
local VALUE_MAX = 4194304

local function alloc_check(attr)
  if attr.value_size > VALUE_MAX then
    kernel.fail("E2BIG", "value_size must be at most " .. VALUE_MAX .. ", got " .. attr.value_size)
  end
end

-- bloom_map_alloc()
local function alloc(attr)
  if attr.key_size ~= 0 then map.einval("key_size must be 0, got " .. attr.key_size) end
  if attr.value_size == 0 then map.einval("value_size must be > 0, got 0") end
  if attr.max_entries == 0 then map.einval("max_entries must be > 0, got 0") end
  map_attr.check_flags(attr, uapi.BPF_F_ZERO_SEED)
  local hashes = tonumber(attr.map_extra)
  if hashes > HASHES_MAX then
    map.einval("map_extra (hash functions) must be from 0 to " .. HASHES_MAX .. ", got " .. attr.map_extra)
  end
  hashes = hashes == 0 and HASHES or hashes
  -- The optimal number of bits is n * k / ln 2, which the kernel takes for n * k / 5 * 7.
  local wanted, bits = math.floor(attr.max_entries * hashes / 5) * 7, 64
  while bits < wanted and bits < 4294967296 do bits = bits * 2 end
  return { "hashes", hashes, "bits", bits }
end

-- The number of hash functions and of bits.
local function shape(m)
  if not m.bits then
    local found = call("HMGET", m.record, "hashes", "bits")
    m.hashes, m.bits = tonumber(found[1]), tonumber(found[2])
  end
  return m.hashes, m.bits
end

-- The places of a value's bits: the words of a SHA-1, and for more hash functions sums of two of them
-- (Kirsch and Mitzenmacher).
local function each_bit(m, value, fn)
  local hashes, bits = shape(m)
  local digest, words = redis.sha1hex(value), {}
  for i = 0, 4 do words[i] = tonumber(digest:sub(8 * i + 1, 8 * i + 8), 16) end
  for i = 0, hashes - 1 do
    local n = (words[i % 5] + math.floor(i / 5) * words[(i + 1) % 5]) % bits
    local key, offset = paged.place(m.id, 1, math.floor(n / 8))
    fn(key, offset * 8 + n % 8)
  end
end

local function push(m, _, value, flags)
  if flags ~= 0 then kernel.fail("EINVAL", "flags must be 0 (BPF_ANY) for a Bloom filter, got " .. flags) end
  local new = 0
  each_bit(m, value, function(key, n) new = new + 1 - call("SETBIT", key, n, 1) end)
  if new > 0 then call("HINCRBY", m.record, "pushed", 1) end
end

-- The value when it may have been pushed.
local function peek(m, _, value)
  if not value then
    kernel.fail("EFAULT", "a value is missing: a Bloom filter is asked whether it contains one")
  end
  local set = true
  each_bit(m, value, function(key, n) set = set and call("GETBIT", key, n) == 1 end)
  return set and value or nil
end

local function unsupported()
  kernel.fail("EOPNOTSUPP", "a Bloom filter has no keys and no deletion: push values and peek with them")
end

-- Values that were new when they were pushed.
local function entries(m)
  return tonumber(call("HGET", m.record, "pushed") or 0)
end

-- A bit is read or set in the time of two lookups in a hash.
local function lookup_cost(m)
  return 2 * shape(m)
end

local function change_cost(m)
  return math.ceil(shape(m) / 2)
end

local function free(id)
  return paged.free(id, 1, tonumber(call("HGET", kernel.key("map", id), "bits")) / 8)
end

-- bloom_map_check_btf()
local function check_btf(_, key)
  if key then map.einval("btf_key_type_id must be 0 for a bloom_filter, which has no keys") end
end

map.register("bloom_filter", {
  alloc_check = alloc_check, alloc = alloc, lookup = peek, update = push, delete = unsupported,
  next_key = unsupported, page = unsupported, entries = entries, free = free, lookup_cost = lookup_cost,
  change_cost = change_cost, has_map_extra = true, lookup_by_value = true,
  check_btf = check_btf
})
