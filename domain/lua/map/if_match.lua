-- If-Match (extension): a change is made only when one of its tags matches the element or the map.
-- A tag is "*" (the element exists), "r" and the map's revision, or the element's value: in hex up to
-- 32 bytes, else its SHA-1 in hex.
local kernel = use("base/kernel")
local map = use("map/map")

local if_match = {}

local SHORT = 32

local function tag(value)
  if #value > SHORT then return redis.sha1hex(value) end
  return (value:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

-- Fails with ESTALE when no tag matches. The value, which may be long, is read when the revision does not.
function if_match.check(m, key, tags)
  local revision = map.revision(m)
  for wanted in tags:gmatch("%S+") do
    if wanted == "r" .. revision then return end
  end
  local value = m.key_size > 0 and (m.ops.lookup_exact or m.ops.lookup)(m, key)
  local now = value and tag(value)
  for wanted in tags:gmatch("%S+") do
    if value and (wanted == "*" or wanted == now) then return end
  end
  kernel.fail("ESTALE", "no tag of If-Match matches: the map is at revision r" .. revision
    .. (now and ", the element at " .. now or ", and has no such element"))
end

return if_match
