-- Caches what a text parses to under the text itself, so that it cannot be stale whatever happens to
-- Redis. All later calls share the same table.
-- Invariant: a caller never changes a table that a memo returns.
-- A large Lua heap slows every call of Redis down, so the cache is small.
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
