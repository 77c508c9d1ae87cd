-- Operations of LRU hash tables (kernel/bpf/hashtab.c, bpf_lru_list.c): nodes, of which an update
-- takes a local one. When these are used up the lists are rotated and free nodes made local, `target`
-- at once; what is missing is evicted.
-- Invariants: table and lists hold the same keys; nodes are elements, local or free, max_entries in all.
local map = use("map/map")
local htab = use("map/hash/htab")
local lru_list = use("map/hash/lru_list")
local uapi = use("uapi")
local call = redis.call

-- LOCAL_FREE_TARGET
local TARGET = 128

local htab_lru = {}

-- BPF_F_NO_COMMON_LRU gives every CPU a list of its own; here it only rounds up, as there.
function htab_lru.alloc(attr)
  if bit.band(attr.map_flags, uapi.BPF_F_NO_COMMON_LRU) ~= 0 then
    attr.max_entries = math.ceil(attr.max_entries / attr.cpus) * attr.cpus
  end
  htab.alloc(attr)
  return { "target", math.max(1, math.min(TARGET, math.floor(attr.max_entries / attr.cpus / 2))) }
end

local function evict(m, keys)
  if #keys == 0 then return 0 end
  htab.remove_keys(m, keys)
  lru_list.remove(m, keys)
  map.count_evictions(m, #keys)
  map.bump_revision(m)
  return #keys
end

-- bpf_lru_list_pop_free_to_local(): the number of local nodes after it.
local function refill(m, target)
  lru_list.rotate(m, target)
  local got = math.min(target, m.max_entries - htab.entries(m))
  return got < target and got + evict(m, lru_list.shrink(m, target - got)) or got
end

-- Makes sure that there is a local node for an update; this may evict the very element to be updated.
function htab_lru.make_room(m)
  local nodes = call("HMGET", m.record, "local", "target")
  if tonumber(nodes[1] or 0) == 0 then
    call("HSET", m.record, "local", refill(m, lru_list.scan_limit(m, tonumber(nodes[2]))))
  end
end

-- A new node for the element; the old one is free again, the new one marked as used.
function htab_lru.store(m, key, value)
  local elements, order = htab.keys(m)
  local pending = lru_list.pending(m, { key })[key]
  if not pending then call("HINCRBY", m.record, "local", -1) end
  call("HSET", elements, key, value)
  call("ZADD", order, 0, key)
  lru_list.add(m, { key })
  if pending ~= nil then lru_list.set_ref(m, key) end
end

function htab_lru.lookup_and_delete(m, key)
  local value = htab.lookup_and_delete(m, key)
  if not value then return nil end
  if lru_list.pending(m, { key })[key] then call("HINCRBY", m.record, "local", 1) end
  lru_list.remove(m, { key })
  return value
end

-- Every update bears a part of a refill, a large one where a refill makes few nodes local.
function htab_lru.change_cost(m, kind)
  if kind ~= "update" then return 1 end
  local target = tonumber(call("HGET", m.record, "target"))
  return 3 + 32 / lru_list.scan_limit(m, target)
end

function htab_lru.free(_, m)
  call("UNLINK", htab.keys(m))
  call("UNLINK", lru_list.keys(m))
end

return htab_lru
