-- What wrk sends: the same GET many times at once on each connection. Arguments: token, path, how many.
local requests

function init(args)
  local headers = { authorization = "Bearer " .. args[1], ["x-request-id"] = "pipelined" }
  requests = wrk.format("GET", args[2], headers):rep(tonumber(args[3]))
end

function request()
  return requests
end

function done(summary, latency)
  local e = summary.errors
  io.write(("\nRESULT %d %d %d %d %d\n"):format(summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
