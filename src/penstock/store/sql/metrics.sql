-- name: history
-- A window of one metric's points in the order of time, step and value.
SELECT timestamp_ms, step, value, is_nan FROM metrics
WHERE run_no = :run_no AND key = :key
ORDER BY timestamp_ms, step, value, is_nan LIMIT :page_limit OFFSET :page_offset;

-- name: history_after
-- The points that follow one point, in the order of time, step and value.
SELECT timestamp_ms, step, value, is_nan FROM metrics
WHERE run_no = :run_no AND key = :key
    AND (timestamp_ms, step, value, is_nan) > (:timestamp_ms, :step, :value, :is_nan)
ORDER BY timestamp_ms, step, value, is_nan LIMIT :page_limit;

-- name: sampled
-- Every n-th point of a metric between two steps, in the order of step, with the first and the last.
SELECT timestamp_ms, step, value, is_nan FROM (
    SELECT timestamp_ms, step, value, is_nan,
        ROW_NUMBER() OVER (ORDER BY step, timestamp_ms, value) AS place, COUNT(*) OVER () AS total
    FROM metrics WHERE run_no = :run_no AND key = :key AND step >= :start_step AND step <= :end_step
) AS points
WHERE place = 1 OR place = total
    OR (place - 1) * (:wanted - 1) / NULLIF(total - 1, 0) > (place - 2) * (:wanted - 1) / NULLIF(total - 1, 0)
ORDER BY step, timestamp_ms, value;
