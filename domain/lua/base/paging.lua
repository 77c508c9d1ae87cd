-- Pages of lists. A page that has a filter looks at a bounded number of items, so that a filter which few
-- items match makes the page short, or empty, and never the script long.
local call = redis.call

local paging = {}

-- Items that a page with a filter looks at.
local LOOKS = 500

-- How many items a page looks at; without a filter it lists every one of them.
function paging.looks(limit, matches)
  return matches and LOOKS or limit
end

-- Places of the first `limit` items that match, and the place of the last item looked at when there are more,
-- else false. count: of the items that the page looks at, and one more if there are more.
function paging.select(count, limit, matches)
  local places, looks = {}, paging.looks(limit, matches)
  for i = 1, count do
    if #places == limit or i > looks then return places, i - 1 end
    if not matches or matches(i) then places[#places + 1] = i end
  end
  return places, false
end

-- The same for ids of objects in a sorted set, from above `start`: the ids that match(id), and the last one.
function paging.select_ids(key, start, limit, match)
  local ids = call("ZRANGEBYSCORE", key, "(" .. start, "+inf", "LIMIT", 0, paging.looks(limit, match) + 1)
  local places, last = paging.select(#ids, limit, match and function(i) return match(ids[i]) end)
  for i, place in ipairs(places) do places[i] = ids[place] end
  return places, last and ids[last]
end

-- Whether a name is the pattern, or begins with what is before the * at its end; true for an empty pattern.
function paging.is_like(name, pattern)
  if pattern:sub(-1) ~= "*" then return pattern == "" or name == pattern end
  return name:sub(1, #pattern - 1) == pattern:sub(1, -2)
end

return paging
