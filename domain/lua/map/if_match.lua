-- If-Match (extension): a change is made only when one of its tags matches the element or the map.
-- A tag is "*" (the element exists), "r" and the map's revision, or the element's value: in hex up to
-- 32 bytes, else its SHA-1 in hex. "!" before the tags is If-None-Match: *, the element does not exist.
local kernel = use("base/kernel")
local map = use("map/map")

local if_match = {}

local SHORT = 32

local function tag(value)
  if #value > SHORT then return redis.sha1hex(value) end
  return (value:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function lookup(m, key)
  return m.key_size > 0 and (m.ops.lookup_exact or m.ops.lookup)(m, key)
end

-- Fails with ESTALE when the element exists; returns the tags of If-Match.
local function check_absent(m, key, tags)
  if lookup(m, key) then
    kernel.fail("ESTALE", "If-None-Match: * allows no element with this key, and the map has one")
  end
  return tags:sub(3)
end

-- Fails with ESTALE when no tag matches. The value, which may be long, is read when the revision does not.
function if_match.check(m, key, tags)
  if tags:sub(1, 1) == "!" then tags = check_absent(m, key, tags) end
  if tags == "" then return end
  local revision = map.revision(m)
  for wanted in tags:gmatch("%S+") do
    if wanted == "r" .. revision then return end
  end
  local value = lookup(m, key)
  local now = value and tag(value)
  for wanted in tags:gmatch("%S+") do
    if value and (wanted == "*" or wanted == now) then return end
  end
  kernel.fail("ESTALE", "no tag of If-Match matches: the map is at revision r" .. revision
    .. (now and ", the element at " .. now or ", and has no such element"))
end

return if_match
