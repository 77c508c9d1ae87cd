-- The record of a map, and what all map types share of it. map_fd.lua has the access by fd, map_create.lua
-- the creation. A type is a file of types/ that ends in its table of operations; shared code never asks
-- which type a map has. `m` below is what map.load() answers; operations in [] may be absent.
--   alloc_check(attr)               checks of the type before the capability check
--   alloc(attr) -> fields or nil    checks after it; further fields of the map's record
--   lookup(m, key, value) -> value or nil, update(m, key, value, flags), delete(m, key)
--   next_key(m, key or nil) -> key or nil, page(m, cursor, limit) -> elements, cursor or nil
--   entries(m) -> count, free(id, m) -> units of the work list, or nil
--   [lookup_and_delete(m, key)]     ENOTSUPP where absent
--   [remove(m, key)]                the same without an errno, for delete and batches
--   [lookup_exact(m, key)]          value of just this key, where lookup may find another one
--   [lookup_trimmed(m, key)]        value without zeros that were never written; page() trims then as well
--   [lookup_many(m, keys)]          lookup_exact of each key, false for a missing one
--   [dump_all(m)]                   all values as one string, if they are few
--   [peek_many(m, limit)]           values of a queue or stack that are popped next
--   [touch(m, key)]                 marks an element as recently used
--   [release_uref(m)]               usercnt fell to 0
--   [clear(id)]                     empties all slots, which only the end of the map does otherwise
--   [fd_get_ptr(m, fd) -> id]       object of a slot; [check_compatible(m, owner)] a program names the map
--   [meta_equal(template, m)]       what an inner map must share beside its sizes and flags
--   [direct_value(m, offset)]       BPF_PSEUDO_MAP_VALUE
--   [output(m, records, flags), read(m, from, limit, may_write), positions(m), fits(m, records)] ring buffer
--   [apply(m, ops)]                 changes of a run at once, m.values having the values of their keys
--   [lookup_cost(m), change_cost(m, kind)]  cost in Redis, in units of a hash's
-- Properties: batch_kind (name in generic_batch.lua), has_locks (values may have a bpf_spin_lock), is_percpu,
-- has_map_extra, lookup_by_value (a Bloom filter), longest_match (a trie), object_kind (values are ids of
-- such objects), cursor_bytes (where a cursor is not a key), is_never_inner, capability (beside CAP_BPF),
-- page_max (elements that one script reads at most).
local kernel = use("base/kernel")
local memo = use("base/memo")
local uapi = use("uapi")
local call = redis.call

local map = {}
local F_LOCK = uapi.BPF_F_LOCK
local UNLOCKED = ("\0"):rep(4)

-- Type -> its operations; each file of types/ registers its own.
map.types = {}
function map.register(type, ops)
  map.types[type] = ops
end

-- Bytes of a per-CPU value in a system call: one value for every CPU, each rounded up to 8 bytes.
function map.percpu_bytes(value_size, cpus)
  return math.ceil(value_size / 8) * 8 * cpus
end

-- The field `attr` of a map's record: the attributes of uapi.MAP_ATTR, "-" for an absent one.
function map.pack_attr(attr)
  local words = {}
  for i, field in ipairs(uapi.MAP_ATTR) do words[i] = attr[field] or "-" end
  return table.concat(words, " ")
end

local parse_attr = memo(function(text)
  local attr, n = {}, 0
  for word in text:gmatch("%S+") do
    n = n + 1
    attr[uapi.MAP_ATTR[n]] = word ~= "-" and (tonumber(word) or word)
  end
  attr.type, attr.flags, attr.frozen = attr.map_type, attr.map_flags, attr.frozen == 1
  attr.locks = attr.locks and tostring(attr.locks)
  attr.value_bytes = attr.cpus and map.percpu_bytes(attr.value_size, attr.cpus) or attr.value_size
  attr.ops = map.types[attr.map_type]
  return { __index = attr }
end)

-- The attributes of a map, which its operations need. A map that is held must have a record.
function map.load(id)
  local record = kernel.key("map", id)
  local text = call("HGET", record, "attr")
  if not text then kernel.bug("map " .. id .. " is held but gone") end
  return setmetatable({ id = id, record = record }, parse_attr(text))
end

-- BPF_MAP_FREEZE; nothing undoes it.
function map.freeze(m)
  local attr = {}
  for _, field in ipairs(uapi.MAP_ATTR) do attr[field] = m[field] end
  attr.frozen = 1
  call("HSET", m.record, "attr", map.pack_attr(attr))
end

-- Every change of elements makes a new revision.
function map.bump_revision(m)
  return call("HINCRBY", m.record, "revision", 1)
end

function map.revision(m)
  return call("HGET", m.record, "revision")
end

function map.einval(detail)
  kernel.fail("EINVAL", detail)
end

-- Flags of an update, BPF_F_LOCK taken off.
function map.check_update_flags(flags)
  if flags > uapi.BPF_EXIST then
    map.einval("flags must be 0 (BPF_ANY), 1 (BPF_NOEXIST) or 2 (BPF_EXIST), got " .. flags)
  end
end

-- bpf_map_check_op_flags(): flags without BPF_F_LOCK. A script needs no lock, for it runs alone.
function map.check_op_flags(m, flags)
  if flags % (2 * F_LOCK) < F_LOCK then return flags end
  if not m.locks then map.einval("BPF_F_LOCK needs a bpf_spin_lock in the value, which the map has not") end
  return flags - F_LOCK
end

-- copy_map_value(): locks are not written.
-- Invariant: the bytes of a lock are zero in every element, so that nothing has to hide them.
function map.clear_locks(m, value)
  for at in (m.locks or ""):gmatch("%d+") do
    -- Most values have no lock that is held, and a long one takes time to be copied.
    if value:sub(at + 1, at + 4) ~= UNLOCKED then
      value = value:sub(1, at) .. UNLOCKED .. value:sub(at + 5)
    end
  end
  return value
end

-- How many elements one script reads at most: of large ones only a few.
map.PAGE_BYTES = 262144
function map.page_limit(m, limit)
  local most = m.ops.page_max or limit
  return math.min(limit, most, math.max(1, math.floor(map.PAGE_BYTES / (m.key_size + m.value_bytes))))
end

-- An update that finds the map full is counted, which is the only trace of a failed command.
function map.fail_full(m, errno)
  error({ errno = errno or "E2BIG", detail = "the map is full: max_entries is " .. m.max_entries,
    counted = m.id }, 0)
end

-- A Redis without memory refuses to count; the caller still gets the errno of its command.
function map.count_failure(id)
  pcall(call, "HINCRBY", kernel.key("map", id), "failed", 1)
end

-- Counts elements that were removed to make room for others.
function map.count_evictions(m, count)
  call("HINCRBY", m.record, "evicted", count)
end

return map
