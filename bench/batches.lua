-- Makes wrk send batches of n random elements of a map of n, with keys and values of 8 bytes. The bodies
-- are made before the load begins. Arguments: token, fd, operation, form (json or octets), n, seed.
local BODIES = 8
local requests, sent = {}, 0

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local function key(i)
  local low = string.char(i % 256, math.floor(i / 256) % 256, math.floor(i / 65536) % 256, 0)
  return low .. "\0\0\0\0"
end

local function quoted(list)
  for i, bytes in ipairs(list) do list[i] = '"' .. hex(bytes) .. '"' end
  return "[" .. table.concat(list, ",") .. "]"
end

local function update(form, n)
  local keys, values, octets = {}, {}, {}
  for i = 1, n do
    keys[i] = key(math.random(0, n - 1))
    values[i] = ("%08d"):format(math.random(0, 99999999))
    octets[i] = keys[i] .. values[i]
  end
  if form == "octets" then return "?op=update&count=" .. n, table.concat(octets) end
  return "", '{"op":"update","keys":' .. quoted(keys) .. ',"values":' .. quoted(values) .. "}"
end

-- A lookup asks for one element less than the map has, because one that reaches the end fails with ENOENT.
local function lookup(_, n)
  return "", '{"op":"lookup","count":' .. n - 1 .. "}"
end

function init(args)
  local token, fd, operation, form, n = args[1], args[2], args[3], args[4], tonumber(args[5])
  math.randomseed(tonumber(args[6]))
  local octets = "application/octet-stream"
  for i = 1, BODIES do
    local make = operation == "update" and update or lookup
    local query, body = make(form, n)
    local headers = { authorization = "Bearer " .. token, ["content-type"] = "application/json" }
    if form == "octets" then
      if operation == "update" then headers["content-type"] = octets else headers.accept = octets end
    end
    requests[i] = wrk.format("POST", "/v1/fds/" .. fd .. "/batch" .. query, headers, body)
  end
end

function request()
  sent = sent + 1
  return requests[sent % BODIES + 1]
end

done = require("result")
