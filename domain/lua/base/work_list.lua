-- The freeing that calls left: the list `work` of the namespace.
-- Invariants: an item is either in the list or being done in this call, so whatever a crash interrupts is
-- found again, and no item is done twice. Late items stand behind all others, so that the first item shows
-- whether references are left.
local kernel = use("base/kernel")
local work = use("base/work")
local call = redis.call

-- Items that are taken off the list at once.
local ITEMS = 64

local work_list = {}

-- Keeps what the budget did not reach; true when something is left for the sweeper.
function work_list.save()
  if not (current.queue or current.late) then return false end
  local list, first, late = kernel.key("work"), work.take_texts("queue"), work.take_texts("late")
  if first then call("LPUSH", list, unpack(first)) end
  if late then call("RPUSH", list, unpack(late)) end
  return first ~= nil or late ~= nil
end

-- Whether the list has an item.
function work_list.is_left()
  return call("EXISTS", kernel.key("work")) == 1
end

-- Whether the call or the list has an item beside the one being done.
function work_list.has_others()
  local _, any = work.is_pending()
  return any or work_list.is_left()
end

-- Whether what has ended still holds references.
function work_list.has_references()
  if current.is_due or work.is_pending() then return true end
  local first = call("LINDEX", kernel.key("work"), 0)
  return first and work.has_references(first:match("^%S+"))
end

-- Before an answer that shows references: fails while what has ended still holds some. The service then
-- finishes the release and sends the call again. A namespace that is being deleted shows what is left.
function work_list.need_released()
  if current.deleting or not work_list.has_references() then return end
  error({ errno = "DUE", detail = "references of ended sessions are left" }, 0)
end

-- Puts an item behind all others.
function work_list.defer(...)
  call("RPUSH", kernel.key("work"), table.concat({ ... }, " "))
end

local function parse(text)
  local words = {}
  for word in text:gmatch("%S+") do words[#words + 1] = word end
  return words
end

-- Takes items off the list, up to one that this version does not know, which is left to one that does.
local function take_items(list)
  local texts = call("LPOP", list, math.min(work.room(), ITEMS)) or {}
  for i, text in ipairs(texts) do
    local item = parse(text)
    if not work.is_known(item[1]) then
      for n = #texts, i, -1 do call("LPUSH", list, texts[n]) end
      return i - 1
    end
    work.push(unpack(item))
  end
  return #texts
end

-- Goes on where calls stopped; answers whether something is left.
function work_list.resume()
  local list = kernel.key("work")
  while work.room() > 0 do
    if take_items(list) == 0 then return false end
    work.drain()
  end
  return work_list.has_others()
end

return work_list
