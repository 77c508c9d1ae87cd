-- Makes wrk repeat one operation, or two in turn where the second needs the answer of the first (open and
-- close, pin and unlink). Arguments: tokens separated by commas, which take turns; 1 if there are two
-- operations; the number of elements to choose from; method, path and body of each operation; and a number
-- unique to this run. In paths and bodies {n} is a new number, {i} and {key} are a random element, and {fd} is
-- the fd that the first operation returned.
local sent = 0
local answered = {}

local function filled(text, values)
  return (text:gsub("{(%w+)}", values))
end

local function key(i)
  return ("%02x%02x%02x%02x"):format(i % 256, math.floor(i / 256) % 256, math.floor(i / 65536) % 256,
    math.floor(i / 16777216))
end

local function bearers(tokens)
  local list = {}
  for token in tokens:gmatch("[^,]+") do list[#list + 1] = "Bearer " .. token end
  return list
end

function init(args)
  local tokens, two, elements, seed = bearers(args[1]), args[2] == "1", tonumber(args[3]), args[10]
  math.randomseed(tonumber(seed))
  -- `n` tells whose turn it is: the second operation has the token of the first.
  local function send(at, n, id, values)
    local body = args[at + 2] ~= "" and filled(args[at + 2], values) or nil
    local headers = { authorization = tokens[n % #tokens + 1], ["x-request-id"] = id }
    if body then headers["content-type"] = "application/json" end
    return wrk.format(args[at], filled(args[at + 1], values), headers, body)
  end
  function request()
    local first = table.remove(answered)
    if first then return send(7, first.sent, "second", first) end
    sent = sent + 1
    local i = math.random(0, elements - 1)
    return send(4, sent, seed .. "." .. sent, { n = seed .. "_" .. sent, i = i, key = key(i) })
  end
  if not two then return end
  function response(_, headers, body)
    local n = headers["x-request-id"]:match("%.(%d+)$")
    if not n then return end
    answered[#answered + 1] = { sent = n, n = seed .. "_" .. n, fd = body:match('"fd":(%d+)') or "" }
  end
end

done = require("result")
