-- Freeing still to do: done within a budget at the end of the call, the rest kept in Redis.
-- Invariant: an item is either in the persistent list or being done in this call, so whatever a
-- crash interrupts is found again, and no item is done twice.
local kernel = use("kernel")
local call = redis.call
local LIST = kernel.key("work")

-- References that one call may put; keeps a script under about 5 ms.
local BUDGET = 128

local work = {}
local queue, head, tail = {}, 1, 0
local room = BUDGET

-- An item is a module, one of its functions, and words for it. The function answers how many
-- references it put; what it could not finish it pushes again.
function work.push(...)
  tail = tail + 1
  queue[tail] = { ... }
end

-- How many references the item being done may still put.
function work.room()
  return room
end

function work.drain()
  while head <= tail and room > 0 do
    local item = queue[head]
    queue[head] = nil
    head = head + 1
    room = room - math.max(1, use(item[1])[item[2]](unpack(item, 3)))
  end
end

-- Keeps what the budget did not reach; true when something is left for the sweeper.
function work.save()
  for i = head, tail do call("RPUSH", LIST, table.concat(queue[i], " ")) end
  return head <= tail
end

-- The sweeper's part: goes on where commands stopped.
function work.resume()
  while room > 0 do
    local stored = call("LPOP", LIST)
    if not stored then return false end
    local words = {}
    for word in stored:gmatch("%S+") do words[#words + 1] = word end
    work.push(unpack(words))
    work.drain()
  end
  return call("EXISTS", LIST) == 1
end

return work
