-- BPF_MAP_TYPE_STACK (kernel/bpf/queue_stack_maps.c): last in, first out.
local map = use("map/map")
local queue_stack = use("map/queue_stack")
local call = redis.call

local function peek(m)
  local elements, head, count = queue_stack.state(m)
  return call("HGET", elements, head + count - 1)
end

local function pop(m)
  local elements, head, count = queue_stack.state(m)
  local value = call("HGET", elements, head + count - 1)
  if value then queue_stack.drop_newest(m, elements, head + count - 1) end
  return value
end

-- The values that are popped next.
local function peek_many(m, limit)
  local _, head, count = queue_stack.state(m)
  return queue_stack.values(m, head + count - 1, head + count - math.min(limit, count), -1)
end

map.register("stack", {
  alloc_check = queue_stack.alloc_check, alloc = queue_stack.alloc, lookup = peek,
  update = queue_stack.push, lookup_and_delete = pop, delete = queue_stack.delete,
  next_key = queue_stack.next_key, page = queue_stack.page, entries = queue_stack.entries,
  free = queue_stack.free, peek_many = peek_many, cursor_bytes = queue_stack.CURSOR_BYTES
})
