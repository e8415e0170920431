-- Is it healthy? Each query yields no row when it is.

USE ROLE lakehouse_owner;
USE DATABASE lakehouse;
USE WAREHOUSE lakehouse_warehouse;

-- Marts whose last comparison found rows that only one side has.
SELECT mart, compared_at, built, differing
FROM ops.parity
QUALIFY ROW_NUMBER() OVER (PARTITION BY mart ORDER BY compared_at DESC) = 1 AND differing > 0;

-- Nothing was built for a day and two hours.
SELECT MAX(started_at) AS last_build
FROM ops.builds
HAVING COALESCE(MAX(started_at), CAST('1970-01-01 00:00:00+00:00' AS TIMESTAMP_TZ)) < DATEADD(HOUR, -26, CURRENT_TIMESTAMP());

-- Tasks that failed during the last day.
SELECT name, state, error_message, scheduled_time, completed_time
FROM TABLE(information_schema.task_history(scheduled_time_range_start => DATEADD(DAY, -1, CURRENT_TIMESTAMP())))
WHERE state IN ('FAILED', 'FAILED_AND_AUTO_SUSPENDED', 'CANCELLED')
ORDER BY scheduled_time;

-- Tables whose automatic refresh has stopped.
SELECT t.table_schema, t.table_name, SYSTEM$AUTO_REFRESH_STATUS(t.table_schema || '.' || t.table_name) AS status
FROM information_schema.tables AS t
WHERE t.is_iceberg = 'YES'
  AND PARSE_JSON(SYSTEM$AUTO_REFRESH_STATUS(t.table_schema || '.' || t.table_name)):executionState::VARCHAR <> 'RUNNING';

-- Days on which the warehouse took more than two credits.
SELECT CAST(start_time AS DATE) AS day, SUM(credits_used) AS credits
FROM TABLE(information_schema.warehouse_metering_history(DATEADD(DAY, -7, CURRENT_DATE()), CURRENT_DATE(), 'LAKEHOUSE_WAREHOUSE'))
GROUP BY day
HAVING credits > 2;
