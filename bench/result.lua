-- Prints the result of a wrk script: requests, µs of the run, µs of p50 and p99, errors.
return function(summary, latency)
  local e = summary.errors
  io.write(("\nRESULT %d %d %d %d %d\n"):format(summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
