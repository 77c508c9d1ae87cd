-- What hash tables that evict share (kernel/bpf/bpf_lru_list.c, one CPU's part): beside the table a
-- sorted set of its keys, in which the kernel's three lists are bands of scores, the oldest first; and
-- the set of those used since they were last looked at.
-- A new element waits as pending. When the local free nodes are used up, pending ones go to active or
-- inactive by whether they were used; the unused of the inactive make room, `target` at once.
-- Invariants: table and sorted set hold the same keys; nodes are elements, local or free, max_entries
-- in all; what is in `ref` is in the table.
local kernel = use("kernel")
local map = use("map")
local htab = use("htab")
local call = redis.call

local NO_COMMON_LRU = 2
-- LOCAL_FREE_TARGET and NR_SCANS: nodes freed, and elements looked at, at a time.
local TARGET, SCANS = 128, 128
local INACTIVE, ACTIVE, PENDING, END = 0, 2 ^ 50, 2 ^ 51, 2 ^ 52

local htab_lru = {}

local function record(m) return kernel.key("map", m.id) end
local function lists(m) return kernel.key("lru", m.id) end
local function refs(m) return kernel.key("ref", m.id) end

-- BPF_F_NO_COMMON_LRU gives every CPU a list of its own; here it only rounds up, as there.
function htab_lru.alloc(attr)
  if bit.band(attr.map_flags, NO_COMMON_LRU) ~= 0 then
    attr.max_entries = math.ceil(attr.max_entries / attr.cpus) * attr.cpus
  end
  htab.alloc(attr)
  return { "target", math.max(1, math.min(TARGET, math.floor(attr.max_entries / attr.cpus / 2))) }
end

local function nodes(m)
  local found = call("HMGET", record(m), "local", "target")
  return tonumber(found[1] or 0), tonumber(found[2])
end

local function oldest(m, band, above, limit)
  return call("ZRANGEBYSCORE", lists(m), band, "(" .. above, "LIMIT", 0, limit)
end

-- __bpf_lru_node_move(): keys become the newest of a list, no longer marked as used.
local function move(m, keys, band)
  if #keys == 0 then return end
  local tick, scored = call("HINCRBY", record(m), "moves", #keys) - #keys, {}
  for i, key in ipairs(keys) do scored[2 * i - 1], scored[2 * i] = band + tick + i, key end
  call("ZADD", lists(m), unpack(scored))
  call("SREM", refs(m), unpack(keys))
end

-- The keys that were used, and the others.
local function sort(m, keys)
  local used, unused = {}, {}
  if #keys == 0 then return used, unused end
  for i, ref in ipairs(call("SMISMEMBER", refs(m), unpack(keys))) do
    local list = ref == 1 and used or unused
    list[#list + 1] = keys[i]
  end
  return used, unused
end

local function evict(m, keys)
  for _, key in ipairs(keys) do
    htab.take(m, key)
    map.evicted(m)
  end
  if #keys > 0 then
    call("ZREM", lists(m), unpack(keys))
    call("SREM", refs(m), unpack(keys))
    map.changed(m)
  end
  return #keys
end

-- __bpf_lru_list_shrink(): the oldest inactive ones that were not used; when all were, the oldest.
local function shrink(m, want)
  local used, unused, scanned = {}, {}, oldest(m, INACTIVE, ACTIVE, SCANS)
  for i, ref in ipairs(#scanned > 0 and call("SMISMEMBER", refs(m), unpack(scanned)) or {}) do
    local list = ref == 1 and used or unused
    list[#list + 1] = scanned[i]
    if #unused == want then break end
  end
  move(m, used, ACTIVE)
  if #unused == 0 then unused = oldest(m, INACTIVE, PENDING, 1) end
  return evict(m, unused)
end

-- bpf_lru_list_pop_free_to_local(): the number of local nodes after it.
local function refill(m, target)
  local used, unused = sort(m, oldest(m, PENDING, END, target))
  move(m, used, ACTIVE)
  move(m, unused, INACTIVE)
  local inactive = call("ZCOUNT", lists(m), INACTIVE, "(" .. ACTIVE)
  if inactive < call("ZCOUNT", lists(m), ACTIVE, "(" .. PENDING) then
    used, unused = sort(m, oldest(m, ACTIVE, PENDING, SCANS))
    move(m, used, ACTIVE)
    move(m, unused, INACTIVE)
  end
  move(m, (sort(m, oldest(m, INACTIVE, ACTIVE, SCANS))), ACTIVE)
  local got = math.min(target, m.max_entries - htab.entries(m))
  return got < target and got + shrink(m, target - got) or got
end

-- Sees to a local node for an update; evicts, be it the element that is to be updated.
function htab_lru.make_room(m)
  local free, target = nodes(m)
  if free == 0 then call("HSET", record(m), "local", refill(m, target)) end
end

-- A new node for the element; the old one is free again, the new one marked as used.
function htab_lru.store(m, key, value)
  local elements, order = htab.keys(m)
  local score = call("ZSCORE", lists(m), key)
  if not score or tonumber(score) < PENDING then call("HINCRBY", record(m), "local", -1) end
  call("HSET", elements, key, value)
  call("ZADD", order, 0, key)
  move(m, { key }, PENDING)
  if score then htab_lru.touch(m, key) end
end

-- bpf_lru_node_set_ref()
function htab_lru.touch(m, key)
  call("SADD", refs(m), key)
end

function htab_lru.take(m, key)
  local value = htab.take(m, key)
  if not value then return nil end
  if tonumber(call("ZSCORE", lists(m), key)) >= PENDING then call("HINCRBY", record(m), "local", 1) end
  call("ZREM", lists(m), key)
  call("SREM", refs(m), key)
  return value
end

function htab_lru.free(_, m)
  call("UNLINK", lists(m), refs(m), htab.keys(m))
end

return htab_lru
