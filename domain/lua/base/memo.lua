-- What a text was parsed to, kept under the text itself, so that it cannot be stale whatever happens to
-- Redis. A table that it hands out is shared by all later calls.
-- Invariant: nobody writes into what a memo hands out.
-- Every call of Redis pays for the size of Lua's heap, so that only so much is kept.
local KEPT = 250

return function(parse)
  local kept, count = {}, 0
  return function(text)
    local value = kept[text]
    if value == nil then
      if count == KEPT then kept, count = {}, 0 end
      value = parse(text)
      kept[text], count = value, count + 1
    end
    return value
  end
end
