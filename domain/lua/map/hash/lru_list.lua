-- The order in which an LRU map evicts (kernel/bpf/bpf_lru_list.c, one CPU's part): a sorted set of keys
-- in which the kernel's three lists are bands of scores, the oldest first; and the set of those used
-- since the last scan.
-- Invariant: every key in `ref` is in the sorted set.
local kernel = use("base/kernel")
local call = redis.call

-- NR_SCANS: elements of one scan.
local SCANS = 128
local KEY_BYTES = 65536
local INACTIVE, ACTIVE, PENDING, END = 0, 2 ^ 50, 2 ^ 51, 2 ^ 52

local lru_list = {}

-- With keys beyond 512 bytes a scan takes fewer elements than in the kernel, to keep the script short.
function lru_list.scan_limit(m, most)
  return math.max(1, math.min(most, math.floor(KEY_BYTES / m.key_size)))
end

function lru_list.keys(m)
  return kernel.key("lru", m.id), kernel.key("ref", m.id)
end

local function oldest(m, band, above, limit)
  return call("ZRANGEBYSCORE", (lru_list.keys(m)), band, "(" .. above, "LIMIT", 0, limit)
end

local function count(m, band, above)
  return call("ZCOUNT", (lru_list.keys(m)), band, "(" .. above)
end

-- l->next_inactive_rotation: the score from which the next turn through the inactive ones starts; 0 is
-- the oldest. A newer one is not met before the turn comes round.
local function rotation(m)
  local from = tonumber(call("HGET", m.record, "rotation") or 0)
  return count(m, from, ACTIVE) > 0 and from or 0
end

-- __bpf_lru_node_move(): keys become the newest of a list, no longer marked as used.
local function move(m, keys, band)
  if #keys == 0 then return end
  local lists, refs = lru_list.keys(m)
  if band == INACTIVE then call("HSET", m.record, "rotation", rotation(m)) end
  local tick, scored = call("HINCRBY", m.record, "moves", #keys) - #keys, {}
  for i, key in ipairs(keys) do scored[2 * i - 1], scored[2 * i] = band + tick + i, key end
  call("ZADD", lists, unpack(scored))
  call("SREM", refs, unpack(keys))
end

-- The keys that were used, and the others; stops when it has `most` of the others.
local function sort(m, keys, most)
  local used, unused = {}, {}
  if #keys == 0 then return used, unused end
  local _, refs = lru_list.keys(m)
  for i, ref in ipairs(call("SMISMEMBER", refs, unpack(keys))) do
    local list = ref == 1 and used or unused
    list[#list + 1] = keys[i]
    if #unused == most then break end
  end
  return used, unused
end

local function rotate(m, keys)
  local used, unused = sort(m, keys)
  move(m, used, ACTIVE)
  move(m, unused, INACTIVE)
end

-- __bpf_lru_list_rotate_inactive(): goes on where the last turn stopped, and round at most once.
local function rotate_inactive(m)
  local lists, from, scans = (lru_list.keys(m)), rotation(m), lru_list.scan_limit(m, SCANS)
  local some = call("ZRANGEBYSCORE", lists, from, "(" .. ACTIVE, "WITHSCORES", "LIMIT", 0, scans + 1)
  local older = call("ZRANGEBYSCORE", lists, INACTIVE, "(" .. from, "WITHSCORES",
    "LIMIT", 0, scans + 1 - #some / 2)
  for _, word in ipairs(older) do some[#some + 1] = word end
  local keys = {}
  for i = 1, math.min(#some, 2 * scans), 2 do keys[#keys + 1] = some[i] end
  move(m, (sort(m, keys)), ACTIVE)
  call("HSET", m.record, "rotation", some[2 * scans + 2] or from)
end

-- __bpf_lru_list_rotate(), once the local pending ones (at most `most`) are in the lists.
function lru_list.rotate(m, most)
  rotate(m, oldest(m, PENDING, END, most))
  if count(m, INACTIVE, ACTIVE) < count(m, ACTIVE, PENDING) then
    rotate(m, oldest(m, ACTIVE, PENDING, lru_list.scan_limit(m, SCANS)))
  end
  rotate_inactive(m)
end

-- __bpf_lru_list_shrink(): at most `want` keys to evict, the oldest inactive ones that were not used; when
-- all were, the oldest.
function lru_list.shrink(m, want)
  local used, unused = sort(m, oldest(m, INACTIVE, ACTIVE, lru_list.scan_limit(m, SCANS)), want)
  move(m, used, ACTIVE)
  return #unused > 0 and unused or oldest(m, INACTIVE, PENDING, 1)
end

-- New nodes wait as pending.
function lru_list.add(m, keys)
  move(m, keys, PENDING)
end

-- Key -> whether it is pending; nil for a key that does not exist.
function lru_list.pending(m, keys)
  local pending = {}
  for i, score in ipairs(call("ZMSCORE", (lru_list.keys(m)), unpack(keys))) do
    if score then pending[keys[i]] = tonumber(score) >= PENDING end
  end
  return pending
end

-- bpf_lru_node_set_ref()
function lru_list.set_ref(m, key)
  local _, refs = lru_list.keys(m)
  call("SADD", refs, key)
end

function lru_list.remove(m, keys)
  local lists, refs = lru_list.keys(m)
  call("ZREM", lists, unpack(keys))
  call("SREM", refs, unpack(keys))
end

return lru_list
