-- Operations of queues and stacks (kernel/bpf/queue_stack_maps.c): elements by number in a Redis hash, the
-- oldest one's number in the map's record as `head`. No keys, and every operation O(1).
-- Invariant: the elements have the numbers head to head + count - 1.
local kernel = use("base/kernel")
local map = use("map/map")
local map_attr = use("map/map_attr")
local uapi = use("uapi")
local call = redis.call

local NOEXIST, EXIST = uapi.BPF_NOEXIST, uapi.BPF_EXIST
-- KMALLOC_MAX_SIZE, and the bytes of one allocation for all elements.
local VALUE_MAX, BYTES_MAX = 4194304, 4294967295

local queue_stack = {}

function queue_stack.alloc_check(attr)
  if attr.max_entries == 0 then map.einval("max_entries must be > 0, got 0") end
  if attr.key_size ~= 0 then map.einval("key_size must be 0, got " .. attr.key_size) end
  if attr.value_size == 0 then map.einval("value_size must be > 0, got 0") end
  map_attr.check_flags(attr, 0)
  if attr.value_size > VALUE_MAX then
    kernel.fail("E2BIG", "value_size must be at most " .. VALUE_MAX .. ", got " .. attr.value_size)
  end
end

function queue_stack.alloc(attr)
  if (attr.max_entries + 1) * attr.value_size > BYTES_MAX then
    kernel.fail("ENOMEM", "(max_entries + 1) * value_size must be at most " .. BYTES_MAX .. ", got "
      .. ("%.0f"):format((attr.max_entries + 1) * attr.value_size))
  end
end

-- The key of the elements, the number of the oldest one, and their count; read once, and kept in m.
function queue_stack.state(m)
  local elements = kernel.key("elem", m.id)
  if not m.head then
    m.head = tonumber(call("HGET", m.record, "head") or 0)
    m.count = call("HLEN", elements)
  end
  return elements, m.head, m.count
end

function queue_stack.drop_oldest(m, elements, head)
  call("HDEL", elements, head)
  call("HINCRBY", m.record, "head", 1)
  m.head, m.count = head + 1, m.count - 1
end

function queue_stack.drop_newest(m, elements, last)
  call("HDEL", elements, last)
  m.count = m.count - 1
end

-- queue_stack_map_push_elem(): in a full one BPF_EXIST discards the oldest element.
function queue_stack.push(m, _, value, flags)
  if flags == NOEXIST or flags > EXIST then
    kernel.fail("EINVAL", "flags must be 0 (BPF_ANY) or 2 (BPF_EXIST), got " .. flags)
  end
  local elements, head, count = queue_stack.state(m)
  if count >= m.max_entries then
    if flags ~= EXIST then map.fail_full(m) end
    queue_stack.drop_oldest(m, elements, head)
    map.count_evictions(m, 1)
  end
  call("HSET", elements, head + count, value)
  m.count = m.count + 1
end

function queue_stack.delete()
  kernel.fail("EINVAL", "elements of a queue or stack cannot be deleted: pop them")
end

function queue_stack.next_key()
  kernel.fail("EINVAL", "a queue or stack has no keys: use push, pop or peek")
end

-- From the oldest on; a cursor is the last number shown.
function queue_stack.page(m, cursor, limit)
  local elements, head, count = queue_stack.state(m)
  local first = math.max(head, cursor and struct.unpack("<I8", cursor) + 1 or 0)
  local last = math.min(first + limit, head + count) - 1
  local numbers, list = {}, {}
  for n = first, last do numbers[#numbers + 1] = n end
  if #numbers == 0 then return list end
  for i, value in ipairs(call("HMGET", elements, unpack(numbers))) do
    list[2 * i - 1], list[2 * i] = "", value
  end
  return list, last + 1 < head + count and struct.pack("<I8", last) or nil
end

-- Values from `first` on, by number and in this direction.
function queue_stack.values(m, first, last, step)
  local numbers = {}
  for n = first, last, step do numbers[#numbers + 1] = n end
  return numbers[1] and call("HMGET", kernel.key("elem", m.id), unpack(numbers)) or {}
end

function queue_stack.entries(m)
  return call("HLEN", kernel.key("elem", m.id))
end

function queue_stack.free(id)
  call("UNLINK", kernel.key("elem", id))
end

queue_stack.CURSOR_BYTES = 8

return queue_stack
