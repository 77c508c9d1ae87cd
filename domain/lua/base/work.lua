-- Deferred freeing: a call does some of it at its end, within a budget, and keeps the rest in Redis.
-- Invariant: an item is either in the persistent list or being done in this call, so whatever a
-- crash interrupts is found again, and no item is done twice.
local kernel = use("base/kernel")
local call = redis.call

-- References that one call may put; keeps a script under about 5 ms.
local BUDGET = 128

-- Names of items are stored, so they outlive the functions that do them: a name is never given to another
-- function, and one that is no longer pushed is still known for as long as it can be in a list.
local handlers = {}
local work = {}

-- The function is given the item's words. It answers how many references it put; what it could not finish
-- it pushes again.
function work.handle(name, handler)
  handlers[name] = handler
end

-- An item is the name of its handler, and words for it.
function work.push(...)
  local queue = current.queue
  if not queue then
    queue = { head = 1, tail = 0 }
    current.queue = queue
  end
  queue.tail = queue.tail + 1
  queue[queue.tail] = { ... }
end

-- How many references the item being done may still put.
function work.room()
  return current.budget or BUDGET
end

function work.drain()
  local queue = current.queue
  if not queue then return end
  while queue.head <= queue.tail and work.room() > 0 do
    local item = queue[queue.head]
    queue[queue.head] = nil
    queue.head = queue.head + 1
    local put = handlers[item[1]](unpack(item, 2))
    current.budget = work.room() - math.max(1, put)
  end
end

-- Keeps what the budget did not reach; true when something is left for the sweeper.
function work.save()
  local queue = current.queue
  if not queue or queue.head > queue.tail then return false end
  local list = kernel.key("work")
  for i = queue.head, queue.tail do call("RPUSH", list, table.concat(queue[i], " ")) end
  return true
end

-- Whether the list has an item.
function work.is_left()
  return call("EXISTS", kernel.key("work")) == 1
end

-- Whether the call or the list has an item beside the one being done.
function work.has_others()
  local queue = current.queue
  return queue.head <= queue.tail or work.is_left()
end

-- Puts an item behind all others.
function work.defer(...)
  call("RPUSH", kernel.key("work"), table.concat({ ... }, " "))
end

-- The sweeper's part: goes on where commands stopped. An item that this version does not know is left to one
-- that does.
function work.resume()
  local list = kernel.key("work")
  while work.room() > 0 do
    local stored = call("LPOP", list)
    if not stored then return false end
    local words = {}
    for word in stored:gmatch("%S+") do words[#words + 1] = word end
    if not handlers[words[1]] then
      call("LPUSH", list, stored)
      return false
    end
    work.push(unpack(words))
    work.drain()
  end
  return work.is_left()
end

return work
