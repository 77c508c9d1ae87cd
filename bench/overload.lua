-- Makes wrk send batch updates of n elements and counts the answers by their outcome. Arguments: token, fd, n.
local threads = {}

function setup(thread) threads[#threads + 1] = thread end

function init(args)
  done_count, unavailable, unknown, other = 0, 0, 0, 0
  local token, fd, n = args[1], args[2], tonumber(args[3])
  local keys = {}
  for i = 1, n do keys[i] = '"u64:' .. i .. '"' end
  local list = "[" .. table.concat(keys, ",") .. "]"
  local headers = { authorization = "Bearer " .. token, ["content-type"] = "application/json" }
  local body = '{"op":"update","keys":' .. list .. ',"values":' .. list .. "}"
  message = wrk.format("POST", "/v1/fds/" .. fd .. "/batch", headers, body)
end

function request() return message end

function response(status, _, body)
  if status == 200 then done_count = done_count + 1
  elseif status == 503 and body:find("outcome-unknown", 1, true) then unknown = unknown + 1
  elseif status == 503 then unavailable = unavailable + 1
  else other = other + 1 end
end

function done(summary, latency)
  local sums = { 0, 0, 0, 0 }
  for _, thread in ipairs(threads) do
    for i, name in ipairs({ "done_count", "unavailable", "unknown", "other" }) do
      sums[i] = sums[i] + thread:get(name)
    end
  end
  local e = summary.errors
  io.write(("\nRESULT %d %d %d %d %d %d\n"):format(summary.duration, sums[1], sums[2], sums[3], sums[4],
    e.connect + e.read + e.write + e.timeout))
end
