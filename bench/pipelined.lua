-- Makes wrk pipeline the same GET on each connection. Arguments: token, path, count.
local requests

function init(args)
  local headers = { authorization = "Bearer " .. args[1], ["x-request-id"] = "pipelined" }
  requests = wrk.format("GET", args[2], headers):rep(tonumber(args[3]))
end

function request()
  return requests
end

done = require("result")
