-- What wrk measured, as one line of JSON.
done = function(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '{"requests_per_second": %.3f, "latency_mean_us": %.3f, "latency_sd_us": %.3f, "lost": %d}\n',
      summary.requests * 1e6 / summary.duration, latency.mean, latency.stdev,
      errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
