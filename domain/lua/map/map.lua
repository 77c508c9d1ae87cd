-- A map's record, and what all map types share of it: map_fd.lua has the access by fd, map_create.lua how
-- maps are made. A type is a file of types/ that ends in its table of operations; shared code never asks
-- which type it is.
-- Operations of a type (map is what load() answers):
--   alloc_check(attr)  attributes wrong for the type, before EPERM
--   alloc(attr)        and after it; may answer further fields of the map's record
--   lookup(map, key, value) -> value or nil   update(map, key, value, flags)   delete(map, key)
--   next_key(map, key or nil) -> key or nil   take(map, key) or absent: ENOTSUPP
--   page(map, cursor, limit) -> elements, cursor or nil    entries(map) -> count
--   free(id, map)      release_users(map) or absent: usercnt fell to 0
--   own(map, key)      or absent: the value of just this key, where lookup may answer with another's
--   stored(map, key)   or absent: lookup's value without zeros at its end that were never written; so are
--                      large values of page(), where it is there
--   touch(map, key)    or absent: a program's lookup makes the element recently used
--   meta_equal(template, map) or absent: what an inner map must share beside its sizes and flags
--   image(map)         or absent: all values as one string, if they are few
--   front(map, limit)  or absent: the values popped next, of a queue or stack
--   many(map, keys) -> values, false for none; or absent: own() of each of them
--   look_cost(map), change_cost(map, kind) or absent: what a run's take of Redis, where a hash's take 1
--   positions(map), fits(map, records) or absent: a ring buffer's room
--   output(map, records, flags), read(map, from, limit, may_write) or absent: a ring buffer's records
--   apply(map, ops)    or absent, one by one: what a run did, map.values having the keys' values
--   direct_value(map, offset) or absent: BPF_PSEUDO_MAP_VALUE
--   adopt(map, owner)  or absent: a program names the map, which may be of programs of another kind
-- and properties: batches (what batch.lua can do with the type, by its name in generic_batch.lua),
-- locks (a value may have a bpf_spin_lock), percpu, takes_extra (map_extra),
-- asks_value (a lookup comes with a value), matches (it may answer with another key's), holds (the kind of
-- object whose ids are the values), cursor_bytes (where a cursor is no key), never_inner (not in a map of
-- maps), needs (a capability beside CAP_BPF).
local kernel = use("base/kernel")
local memo = use("base/memo")
local uapi = use("uapi")
local call = redis.call

local map = {}
local F_LOCK = uapi.BPF_F_LOCK

-- Type -> its operations; each file of types/ registers its own.
map.types = {}
function map.register(type, ops)
  map.types[type] = ops
end

-- A value of a per-CPU map, as the system call sees it: every CPU's, each rounded up to 8 bytes.
function map.percpu_bytes(value_size, cpus)
  return math.ceil(value_size / 8) * 8 * cpus
end

-- The field `attr` of a map's record: the attributes of uapi.MAP_ATTR, "-" for none.
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

-- The attributes of a map, which its operations need; missing behind a valid fd is a bug.
function map.load(id)
  local record = kernel.key("map", id)
  local text = call("HGET", record, "attr")
  if not text then kernel.bug("map " .. id .. " is held but gone") end
  return setmetatable({ id = id, record = record }, parse_attr(text))
end

-- BPF_MAP_FREEZE: for ever.
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

-- bpf_map_check_op_flags(): what other flags there are. A script is a lock by itself.
function map.check_op_flags(m, flags)
  if flags % (2 * F_LOCK) < F_LOCK then return flags end
  if not m.locks then map.einval("BPF_F_LOCK: the value has no bpf_spin_lock") end
  return flags - F_LOCK
end

-- copy_map_value(): locks are not written.
-- Invariant: the bytes of a lock are zero in every element, so that nothing has to hide them.
function map.clear_locks(m, value)
  for at in (m.locks or ""):gmatch("%d+") do
    value = value:sub(1, at) .. ("\0"):rep(4) .. value:sub(at + 5)
  end
  return value
end

-- How many elements one script reads at most, whatever is asked: big ones are few.
map.PAGE_BYTES = 262144
function map.page_limit(m, limit)
  return math.min(limit, math.max(1, math.floor(map.PAGE_BYTES / (m.key_size + m.value_bytes))))
end

-- An update refused for want of room is counted: all that a failed command leaves.
function map.fail_full(m, errno)
  error({ errno = errno or "E2BIG", detail = "the map is full: " .. m.max_entries .. " elements",
    counted = m.id }, 0)
end

-- A Redis without memory refuses to count, which is no answer to the caller.
function map.count_failure(id)
  pcall(call, "HINCRBY", kernel.key("map", id), "failed", 1)
end

-- Elements that went to make room for others.
function map.count_evictions(m, count)
  call("HINCRBY", m.record, "evicted", count)
end

return map
