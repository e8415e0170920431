-- Roles, warehouse, database, and the way to the lake's mirror. Run once, and again after a change: nothing is made twice.
--   snow sql --filename infra/snowflake/setup.sql --variable mirror_url=azure://ACCOUNT.blob.core.windows.net/mirror/lake
--     --variable azure_tenant_id=TENANT
-- Then tables.sql and tasks.sql. docs/deployment/snowflake.md says what to do between them.

USE ROLE USERADMIN;
CREATE ROLE IF NOT EXISTS lakehouse_owner COMMENT = 'Owns the database and runs the tasks';
CREATE ROLE IF NOT EXISTS lakehouse_reader COMMENT = 'Reads the marts';
USE ROLE SECURITYADMIN;
GRANT ROLE lakehouse_reader TO ROLE lakehouse_owner;
GRANT ROLE lakehouse_owner TO ROLE SYSADMIN;

USE ROLE ACCOUNTADMIN;
CREATE RESOURCE MONITOR IF NOT EXISTS lakehouse_monitor WITH
  CREDIT_QUOTA = 20
  FREQUENCY = MONTHLY
  START_TIMESTAMP = IMMEDIATELY
  TRIGGERS ON 80 PERCENT DO NOTIFY ON 100 PERCENT DO SUSPEND;
CREATE WAREHOUSE IF NOT EXISTS lakehouse_warehouse WITH
  WAREHOUSE_SIZE = 'XSMALL'
  AUTO_SUSPEND = 60
  AUTO_RESUME = TRUE
  INITIALLY_SUSPENDED = TRUE
  STATEMENT_TIMEOUT_IN_SECONDS = 3600;
ALTER WAREHOUSE lakehouse_warehouse SET RESOURCE_MONITOR = lakehouse_monitor;
GRANT USAGE ON WAREHOUSE lakehouse_warehouse TO ROLE lakehouse_owner;
GRANT USAGE ON WAREHOUSE lakehouse_warehouse TO ROLE lakehouse_reader;

-- Snowflake reads the mirror and never writes it.
CREATE STORAGE INTEGRATION IF NOT EXISTS lakehouse_storage
  TYPE = EXTERNAL_STAGE
  STORAGE_PROVIDER = 'AZURE'
  ENABLED = TRUE
  AZURE_TENANT_ID = '<% azure_tenant_id %>'
  STORAGE_ALLOWED_LOCATIONS = ('<% mirror_url %>/exports/');
CREATE EXTERNAL VOLUME IF NOT EXISTS lakehouse_mirror
  STORAGE_LOCATIONS = (
    (
      NAME = 'mirror'
      STORAGE_PROVIDER = 'AZURE'
      STORAGE_BASE_URL = '<% mirror_url %>/'
      AZURE_TENANT_ID = '<% azure_tenant_id %>'
    )
  )
  ALLOW_WRITES = FALSE;
CREATE CATALOG INTEGRATION IF NOT EXISTS lakehouse_delta
  CATALOG_SOURCE = OBJECT_STORE
  TABLE_FORMAT = DELTA
  ENABLED = TRUE
  REFRESH_INTERVAL_SECONDS = 300;
GRANT USAGE ON INTEGRATION lakehouse_storage TO ROLE lakehouse_owner;
GRANT USAGE ON INTEGRATION lakehouse_delta TO ROLE lakehouse_owner;
GRANT USAGE ON EXTERNAL VOLUME lakehouse_mirror TO ROLE lakehouse_owner;
GRANT EXECUTE TASK ON ACCOUNT TO ROLE lakehouse_owner;

CREATE DATABASE IF NOT EXISTS lakehouse;
GRANT OWNERSHIP ON DATABASE lakehouse TO ROLE lakehouse_owner COPY CURRENT GRANTS;

USE ROLE lakehouse_owner;
USE DATABASE lakehouse;
CREATE SCHEMA IF NOT EXISTS silver COMMENT = 'Silver, read from the mirror';
CREATE SCHEMA IF NOT EXISTS published COMMENT = 'Gold as the lake published it, read from the mirror';
CREATE SCHEMA IF NOT EXISTS gold COMMENT = 'Gold, built here by the tasks from silver';
CREATE SCHEMA IF NOT EXISTS marts COMMENT = 'What readers read';
CREATE SCHEMA IF NOT EXISTS ops COMMENT = 'Tasks and what they found';
CREATE FILE FORMAT IF NOT EXISTS ops.exported_csv TYPE = CSV PARSE_HEADER = TRUE FIELD_OPTIONALLY_ENCLOSED_BY = '"';
CREATE STAGE IF NOT EXISTS ops.exports
  URL = '<% mirror_url %>/exports/'
  STORAGE_INTEGRATION = lakehouse_storage
  FILE_FORMAT = (FORMAT_NAME = 'ops.exported_csv');
CREATE TABLE IF NOT EXISTS ops.builds (started_at TIMESTAMP_TZ);
CREATE TABLE IF NOT EXISTS ops.parity (mart VARCHAR, compared_at TIMESTAMP_TZ, built BIGINT, differing BIGINT);

GRANT USAGE ON DATABASE lakehouse TO ROLE lakehouse_reader;
GRANT USAGE ON SCHEMA lakehouse.marts TO ROLE lakehouse_reader;
GRANT SELECT ON FUTURE VIEWS IN SCHEMA lakehouse.marts TO ROLE lakehouse_reader;
