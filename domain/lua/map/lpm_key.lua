-- Where a prefix has its place in a trie's order, in which map_lpm_trie.lua stores it.
local lpm_place = {}

function lpm_place.longest(m)
  return 8 * (m.key_size - 4)
end

function lpm_place.split(key)
  return (struct.unpack("<I4", key)), key:sub(5)
end

-- The last address of the prefix, then how much longer it could be: by bytes this is the order of the
-- kernel's walk, longer prefixes before the shorter ones that hold them.
function lpm_place.place(m, data, length)
  local whole, rest = math.floor(length / 8), length % 8
  local head = data:sub(1, whole)
  if rest > 0 then
    local byte, host = data:byte(whole + 1), 2 ^ (8 - rest)
    head = head .. string.char(byte - byte % host + host - 1)
  end
  return head .. ("\255"):rep(#data - #head) .. struct.pack(">I2", lpm_place.longest(m) - length)
end

-- The place of a key's own prefix; nil when it is longer than can be.
function lpm_place.exact(m, key)
  local length, data = lpm_place.split(key)
  if length > lpm_place.longest(m) then return nil end
  return lpm_place.place(m, data, length), length, data
end

return lpm_place
