# shellcheck shell=sh
# A database for each of $BACKENDS, with a user of its own who may do anything in it only. MySQL's image runs this once.
for name in $BACKENDS; do
  pattern=$(echo "$name" | sed 's/_/\\_/g') # GRANT takes a bare _ for any one character
  mysql --user=root <<SQL
CREATE DATABASE \`$name\`;
CREATE USER '$name'@'%' IDENTIFIED BY '$BACKENDS_PASSWORD';
GRANT ALL ON \`$pattern\`.* TO '$name'@'%';
SQL
  mysql --user=root "$name" </schema.sql
done
