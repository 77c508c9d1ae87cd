-- The place of a prefix in a trie's order, in which types/lpm_trie.lua stores it.
local kernel = use("base/kernel")
local map = use("map/map")
local btf_type = use("btf/btf_type")
local char, floor = string.char, math.floor

local lpm_key = {}

function lpm_key.longest(m)
  return 8 * (m.key_size - 4)
end

function lpm_key.split(key)
  return (struct.unpack("<I4", key)), key:sub(5)
end

-- The last address of the prefix, then how much longer it could be: by bytes this is the order of the
-- kernel's walk, longer prefixes before the shorter ones that hold them. Answers a function that gives the
-- place of each length of `data`; what lengths share is cut once, for a trie may have 2,049 of them.
function lpm_key.places(m, data)
  local longest, ones = lpm_key.longest(m), ("\255"):rep(#data)
  local heads, tails = {}, {}
  return function(length)
    local whole, rest, shorter = floor(length / 8), length % 8, longest - length
    local head = heads[whole]
    if not head then
      head = data:sub(1, whole)
      heads[whole] = head
      tails[whole] = ones:sub(whole + 2)
    end
    local last = char(floor(shorter / 256), shorter % 256)
    if whole == #data then return head .. last end
    local host = 2 ^ (8 - rest)
    local byte = data:byte(whole + 1)
    return head .. char(byte - byte % host + host - 1) .. tails[whole] .. last
  end
end

function lpm_key.place(m, data, length)
  return lpm_key.places(m, data)(length)
end

-- Returns the lengths up to `length`, the longest first, and their number.
function lpm_key.lengths(all, length)
  local there, lengths, count = {}, {}, 0
  for _, n in ipairs(all) do there[tonumber(n)] = true end
  for n = length, 0, -1 do
    if there[n] then
      count = count + 1
      lengths[count] = n
    end
  end
  return lengths, count
end

-- The place of the prefix itself, its length and its data; nil when it is longer than an address.
function lpm_key.exact(m, key)
  local length, data = lpm_key.split(key)
  if length > lpm_key.longest(m) then return nil end
  return lpm_key.place(m, data, length), length, data
end

-- The place after which a page starts.
function lpm_key.resume(m, cursor)
  return lpm_key.exact(m, cursor) or kernel.fail("EINVAL", "must be the key of a prefix", "cursor")
end

-- The same, but fails with EINVAL when the prefix is longer than an address.
function lpm_key.place_of(m, key)
  local at, length, data = lpm_key.exact(m, key)
  if not at then
    map.einval("prefixlen must be at most " .. lpm_key.longest(m) .. ", got " .. (lpm_key.split(key)))
  end
  return at, length, data
end

-- trie_check_btf()
function lpm_key.check_btf(_, key)
  if not key or key.kind ~= btf_type.STRUCT then
    map.einval("btf_key_type_id must be a struct for an lpm_trie")
  end
end

return lpm_key
