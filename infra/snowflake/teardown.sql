-- Removes all that setup.sql, tables.sql and tasks.sql made. The mirror's files stay: Snowflake owns none of them.

USE ROLE lakehouse_owner;
DROP DATABASE IF EXISTS lakehouse;
USE ROLE ACCOUNTADMIN;
DROP CATALOG INTEGRATION IF EXISTS lakehouse_delta;
DROP EXTERNAL VOLUME IF EXISTS lakehouse_mirror;
DROP STORAGE INTEGRATION IF EXISTS lakehouse_storage;
DROP WAREHOUSE IF EXISTS lakehouse_warehouse;
DROP RESOURCE MONITOR IF EXISTS lakehouse_monitor;
USE ROLE USERADMIN;
DROP ROLE IF EXISTS lakehouse_reader;
DROP ROLE IF EXISTS lakehouse_owner;
