-- Deferred freeing: a call does some of it, within a budget, and keeps the rest in Redis (work_list.lua).
-- Items that hold no reference on an object are late: they wait for all others.

local call = redis.call

-- Names of items are stored, so they outlive the functions that do them: a name is never given to another
-- function, and one that is no longer pushed is still known for as long as it can be in a list.
local handlers, is_late, is_batch = {}, {}, {}

-- Units of work, each about 5 us of Redis: SHARE is what a command does for others at its beginning, OWN
-- what it does for itself at its end, and TURN what one sweep does.
local work = { SHARE = 100, OWN = 300, TURN = 500 }

-- The function is given the item's words. It answers how many units it used; what it could not finish
-- it pushes again.
function work.handle(name, handler)
  handlers[name] = handler
end

-- The same for items that hold no reference on an object.
function work.handle_late(name, handler)
  handlers[name], is_late[name] = handler, true
end

-- The same for items that are done together: the function is given a list of them.
function work.handle_batch(name, handler)
  handlers[name], is_batch[name] = handler, true
end

function work.is_known(name)
  return handlers[name] ~= nil
end

-- Whether an item of this name puts references. One that this version does not know cannot be waited for.
function work.has_references(name)
  return handlers[name] ~= nil and not is_late[name]
end

-- Begins a part of the call that may use so many units.
function work.allow(units)
  current.budget = units
end

-- How many units the part of the call may still use.
function work.room()
  return current.budget
end

function work.spend(units)
  current.budget = current.budget - units
end

-- An item is the name of its handler, and words for it.
function work.push(...)
  local item = { ... }
  local field = is_late[item[1]] and "late" or "queue"
  local queue = current[field] or { head = 1, tail = 0 }
  current[field] = queue
  queue.tail = queue.tail + 1
  queue[queue.tail] = item
end

local function has_items(queue)
  return queue and queue.head <= queue.tail
end

-- Removes a key that nothing names any more: many of them in one command, when the work of the call ends.
function work.unlink(key)
  local keys = current.dead_keys or {}
  current.dead_keys = keys
  keys[#keys + 1] = key
end

local function unlink_all()
  if not current.dead_keys then return end
  call("UNLINK", unpack(current.dead_keys))
  current.dead_keys = false
end

-- Whether the call has items that put references, and whether it has any.
function work.is_pending()
  local first = has_items(current.queue)
  return first, first or has_items(current.late)
end

local function take(queue)
  local item = queue[queue.head]
  queue[queue.head] = nil
  queue.head = queue.head + 1
  return item
end

-- Items from the head on that have the same name.
local function take_batch(queue)
  local items = { take(queue) }
  while has_items(queue) and queue[queue.head][1] == items[1][1] do items[#items + 1] = take(queue) end
  return items
end

local function do_next(queue)
  local name = queue[queue.head][1]
  if is_batch[name] then return handlers[name](take_batch(queue)) end
  return handlers[name](unpack(take(queue), 2))
end

local function next_queue()
  local queue = has_items(current.queue) and current.queue or current.late
  return has_items(queue) and queue
end

-- Does the items of the call as far as the budget allows.
function work.drain()
  if not (current.queue or current.late or current.dead_keys) then return end
  local queue = next_queue()
  while queue and current.budget > 0 do
    work.spend(math.max(1, do_next(queue)))
    queue = next_queue()
  end
  unlink_all()
end

-- Takes what is left of "queue" or "late": the texts of the items, from the last one on; nil for none.
function work.take_texts(field)
  local queue = current[field]
  if not has_items(queue) then return nil end
  local texts = {}
  for i = queue.tail, queue.head, -1 do texts[#texts + 1] = table.concat(queue[i], " ") end
  current[field] = false
  return texts
end

return work
